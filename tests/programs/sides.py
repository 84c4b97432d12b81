"""The sides of a program: an eager net, a compiled one and PyTorch's, which do the same."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import minicnn
from minicnn import Tensor, data
from minicnn.train import state
from minicnn.train.measure import History
from tests.programs import nets
from tests.programs.nets import Design

Batch = tuple[np.ndarray, np.ndarray]


class Setting(NamedTuple):
    """How a net learns: the optimiser's name, its settings, and those of cross-entropy."""

    optimizer: str
    options: dict[str, Any]
    loss: dict[str, Any]


class Result(NamedTuple):
    """What a step gives, copied."""

    loss: np.ndarray
    logits: np.ndarray
    gradients: dict[str, np.ndarray]


class Side:
    """A net that learns, in either library.

    Attributes:
        library: minicnn or torch.
        net, optimizer, loss: as a user makes them.
    """

    def __init__(self, library: Any, design: Design, setting: Setting):
        self.library, self.design, self.setting = library, design, setting
        self.loss = library.nn.CrossEntropyLoss(**setting.loss)
        self.make()

    def make(self) -> None:
        """A new net and what belongs to it."""
        minicnn.manual_seed(1)
        self.net = nets.net_of(self.library, self.design)
        kind = getattr(self.library.optim, self.setting.optimizer)
        self.optimizer = kind(self.net.parameters(), **self.setting.options)

    def tensor(self, array: np.ndarray) -> Any:
        raise NotImplementedError

    # What a user does -----------------------------------------------------------------------------

    def step(self, x: np.ndarray, y: np.ndarray) -> Result:
        """A step of training."""
        return self.accumulate([(x, y)])

    def accumulate(self, batches: Sequence[Batch]) -> Result:
        """One step of the optimiser with the sum of several batches' gradients.

        Returns the last batch's loss and logits, and the summed gradients.
        """
        self.optimizer.zero_grad()
        for x, y in batches:
            logits = self.net(self.tensor(x))
            loss = self.loss(logits, self.tensor(y))
            loss.backward()
        self.optimizer.step()
        grads = {n: p.grad for n, p in self.net.named_parameters() if p.grad is not None}
        self.check_own([logits], [x], grads.values())
        gradients = {name: np.array(_array(g)) for name, g in grads.items()}
        return Result(np.array(_array(loss)), np.array(_array(logits)), gradients)

    def predict(self, x: np.ndarray) -> Any:
        """The logits in evaluation mode; every layer's mode stays."""
        modes = [module.training for module in self.net.modules()]
        with self.library.no_grad():
            logits = self.net.eval()(self.tensor(x))
        for module, mode in zip(self.net.modules(), modes, strict=True):
            module.training = mode
        return logits

    def set_rate(self, lr: float) -> None:
        self.optimizer.param_groups[0]["lr"] = lr

    def freeze(self, frozen: Iterable[str]) -> None:
        """Have these parameters not learn, and all others learn."""
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad = name not in frozen

    def set_modes(self, evaluating: Iterable[int]) -> None:
        """Put these layers, by their numbers, into evaluation mode; all others train."""
        for number, module in enumerate(self.net.modules()):
            module.training = number not in evaluating

    def keep(self, folder: Path) -> Any:
        """Keep the state of the training."""
        raise NotImplementedError

    def go_back(self, kept: Any) -> None:
        """To the state that was kept."""
        raise NotImplementedError

    # What is looked at ----------------------------------------------------------------------------

    def numbers(self) -> dict[str, np.ndarray]:
        """Parameters and buffers: the arrays themselves."""
        return {name: _array(tensor) for name, tensor in self.net.state_dict().items()}

    def check_own(self, results: Sequence[Any], inputs: Sequence[np.ndarray], more: Any) -> None:
        """No result shares memory with another, with the inputs or with the net."""
        mine = [_array(result) for result in (*results, *more)]
        others = [*inputs, *self.numbers().values()]
        for i, array in enumerate(mine):
            for other in [*others, *mine[:i]]:
                assert not np.may_share_memory(array, other)

    def parts(self) -> list[Any]:
        """What has to go when nobody refers to it any more."""
        return [self.net, *self.net.modules(), self.optimizer]

    @contextmanager
    def leaves_nothing(self) -> Iterator[None]:
        """Inside, everything is made again; nothing of before may be left."""
        gone = [weakref.ref(part) for part in self.parts()]
        yield
        gc.collect()
        left = [type(part()).__name__ for part in gone if part() is not None]
        assert not left, f"{type(self).__name__} keeps alive: {left}"


class Eager(Side):
    """minicnn, as the textbook writes it."""

    def __init__(self, design: Design, setting: Setting):
        super().__init__(minicnn, design, setting)

    def tensor(self, array: np.ndarray) -> Tensor:
        return Tensor(array)

    def parts(self) -> list[Any]:
        return [*super().parts(), *(p.data for p in self.net.parameters())]

    def copy(self) -> None:
        """Go on with a copy of net and optimiser."""
        self.net, self.optimizer = copy.deepcopy((self.net, self.optimizer))

    def keep(self, folder: Path) -> Any:
        """Keep the state of the training in a file."""
        path = folder / f"{type(self).__name__}.state"
        state.save(self._training(), path)
        return path

    def go_back(self, kept: Any) -> None:
        """To the state that was kept."""
        state.restore(self._training(), kept)

    def _training(self) -> minicnn.Training:
        blank = np.zeros((2, 1, 1), np.uint8)
        loader = data.DataLoader(data.Dataset(blank, np.zeros(2, int), 1))
        step = getattr(self, "compiled", None)
        return minicnn.Training(self.net, self.optimizer, None, loader, step, History(), epochs=1)


class Compiled(Eager):
    """minicnn's compiled step and prediction."""

    def make(self) -> None:
        super().make()
        self.compiled = minicnn.compile(self.net, self.loss, self.optimizer)
        self.predictor = minicnn.compile(self.net)

    def step(self, x: np.ndarray, y: np.ndarray) -> Result:
        loss, logits = self.compiled(x, y)
        gradients = self.compiled.gradients()
        self.check_own([loss, logits], [x], gradients.values())
        copies = {name: g.numpy().copy() for name, g in gradients.items()}
        return Result(loss.numpy().copy(), logits.numpy().copy(), copies)

    def predict(self, x: np.ndarray) -> Tensor:
        logits: Tensor = self.predictor(x)
        self.check_own([logits], [x], [])
        return logits

    def parts(self) -> list[Any]:
        engines = [entry.engine for c in (self.compiled, self.predictor) for entry in c._entries]
        return [*super().parts(), self.compiled, self.predictor, *engines]

    def copy(self) -> None:
        self.compiled, self.predictor, self.net, self.optimizer, self.loss = copy.deepcopy(
            (self.compiled, self.predictor, self.net, self.optimizer, self.loss)
        )


class PyTorch(Side):
    """PyTorch, with an eager net's first weights."""

    def __init__(self, torch: Any, eager: Eager):
        self.first = {name: torch.tensor(array) for name, array in eager.numbers().items()}
        super().__init__(torch, eager.design, eager.setting)

    def make(self) -> None:
        super().make()
        self.net.load_state_dict(self.first)

    def tensor(self, array: np.ndarray) -> Any:
        return self.library.tensor(array)

    def copy(self) -> None:
        """PyTorch's copies are not our concern."""

    def keep(self, folder: Path) -> Any:
        """Copies: its ``state_dict`` shares memory with the net."""
        return copy.deepcopy((self.net.state_dict(), self.optimizer.state_dict()))

    def go_back(self, kept: Any) -> None:
        net, optimizer = copy.deepcopy(kept)
        self.net.load_state_dict(net)
        self.optimizer.load_state_dict(optimizer)


def _array(tensor: Any) -> np.ndarray:
    """The array of a tensor of either library; it shares the tensor's memory."""
    return np.asarray(tensor.detach().numpy())
