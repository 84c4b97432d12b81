"""Makes the states of this folder: both LeNets after 3,000 steps, past the sigmoid plateau.

    python -m tests.states.make

Batches of 64 of the embedded sample, lr 0.9, seed 5.
"""

from pathlib import Path

import minicnn
from minicnn import data, models, nn, optim

STEPS = 3000


def main() -> None:
    train, _ = data.load("fashion-mnist-sample")
    for model in ("lenet", "lenet-max"):
        minicnn.manual_seed(5)
        net = models.build(model)
        loss_of, optimizer = nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.9)
        loader, done = data.DataLoader(train, 64, shuffle=True, seed=5), 0
        while done < STEPS:
            for x, y in loader:
                loss = loss_of(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
        print(f"{model}: {done} steps, loss {loss.item():.3f}")
        minicnn.save(net, Path(__file__).parent / f"{model}.safetensors")


if __name__ == "__main__":
    main()
