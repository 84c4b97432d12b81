"""A few steps of training, eager and compiled, and the digest of the weights that they lead to."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import minicnn
from minicnn import nn, optim

X = np.arange(20 * 68, dtype=np.uint8).reshape(20, 1, 4, 17)
Y = np.arange(20) % 4


class Trained:
    """A net whose steps go on wherever this object is, in a child process too."""

    def __init__(self) -> None:
        minicnn.manual_seed(3)
        self.net = nn.Sequential(
            nn.Conv2d(1, 3, (3, 2)), nn.Sigmoid(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(96, 4)
        )
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = optim.SGD(self.net.parameters(), lr=0.1)
        self.step: Any = minicnn.compile(self.net, self.loss, self.optimizer)

    def two_steps(self) -> str:
        """One compiled, one eager."""
        self.step(X, Y)
        loss = self.loss(self.net(minicnn.Tensor(X.astype(np.float32))), minicnn.Tensor(Y))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self.digest()

    def digest(self) -> str:
        content = b"".join(p.numpy().tobytes() for p in self.net.parameters())
        return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Print the digest, and whether a kernel had to be compiled."""
    from minicnn.kernels.cpu import jit

    trained = Trained()
    trained.two_steps()
    print(trained.two_steps(), jit.passes > 0)


if __name__ == "__main__":
    main()
