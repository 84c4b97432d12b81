"""A program: rules in any order, each done by all sides, which have to agree after each.

In float64, to ``TOLERANCE`` of the largest number of what is compared. The sides sum in different
orders: each step adds roundings, which the next ones enlarge.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import minicnn
from minicnn import Tensor, random
from minicnn.ops import Operation
from tests.in_threads import in_threads
from tests.programs import nets
from tests.programs.nets import BoomError, Design
from tests.programs.sides import Compiled, Eager, PyTorch, Result, Setting, Side

TOLERANCE = 1e-9
KEPT = 3  # predictions that are looked at again later

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.5, "nesterov": True}),
    ("Adam", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adadelta", {"lr": 1.0}),
]
LOSSES: list[dict[str, Any]] = [{}, {"label_smoothing": 0.2}, {"ignore_index": 1}]
blocks = st.lists(st.sampled_from(nets.BLOCKS), unique=True, max_size=5)
settings_of_learning = st.builds(
    lambda kind, loss: Setting(kind[0], kind[1], loss),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from(LOSSES),
)
images, seeds = st.sampled_from([1, 2, 5, 17, 33]), st.integers(0, 50)

done: Counter[str] = Counter()  # programs and rules, since this process began


class Programs(RuleBasedStateMachine):
    """See the file's docstring."""

    @initialize(
        design=st.builds(Design, blocks, st.sampled_from(nets.HEADS)), setting=settings_of_learning
    )
    def begin(self, design: Design, setting: Setting) -> None:
        done["programs"] += 1
        self.number = 0  # of the rule
        minicnn.set_num_threads(2)
        eager = Eager(design, setting)
        self.sides: list[Side] = [eager, Compiled(design, setting)]
        if find_spec("torch"):
            import torch

            self.sides.append(PyTorch(torch, eager))
        self.folder = tempfile.TemporaryDirectory()
        self.kept: list[Any] | None = None
        self.frozen: set[str] = set()
        self.evaluating: set[int] = set()
        self.predicted: list[tuple[Any, np.ndarray]] = []

    # Rules ----------------------------------------------------------------------------------------

    @rule(images=images, seed=seeds)
    def train(self, images: int, seed: int) -> None:
        """A step; the batch may be smaller or larger than the one before."""
        with_a_batch(
            lambda x, y: self.agree([self.same_masks(side.step, x, y) for side in self.sides]),
            images,
            seed,
        )

    @rule(sizes=st.lists(images, min_size=2, max_size=3), seed=seeds)
    def accumulate(self, sizes: list[int], seed: int) -> None:
        """One step with several batches' gradients: eager on all sides, with what compiled left."""
        batches = [nets.batch(size, seed + k) for k, size in enumerate(sizes)]
        self.agree([self.same_masks(side.accumulate, batches) for side in self.sides])

    @rule(images=st.sampled_from([0, 1, 8, 9, 33]), seed=seeds)
    def predict(self, images: int, seed: int) -> None:
        with_a_batch(lambda x, y: self.predict_and_keep(x), images, seed)

    @rule(seed=seeds)
    def predict_in_threads(self, seed: int) -> None:
        """A predictor that several threads share, batches of several sizes."""
        eager, compiled = self.sides[:2]
        given = [nets.batch(size, seed)[0] for size in (1, 33, 8, 17)]
        theirs = [_numpy(eager.predict(x)) for x in given]
        ours: dict[int, np.ndarray] = {}
        in_threads(len(given), lambda k: ours.update({k: _numpy(compiled.predict(given[k]))}))
        for k, expected in enumerate(theirs):
            close([ours[k], expected], f"prediction {k}")

    @rule(lr=st.sampled_from([0.0, 0.001, 0.02, 0.1]))
    def set_rate(self, lr: float) -> None:
        for side in self.sides:
            side.set_rate(lr)

    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        """Any parameters but the last layer's: a loss that nothing leads to has no backward."""
        names = [name for name, _ in self.sides[0].net.named_parameters()]
        self.frozen = set(data.draw(st.lists(st.sampled_from(names[:-2]), max_size=4)))
        for side in self.sides:
            side.freeze(self.frozen)

    @rule(data=st.data())
    def switch_modes(self, data: st.DataObject) -> None:
        """All to training, all to evaluation, or some layers."""
        count = len(list(self.sides[0].net.modules()))
        some = st.sets(st.integers(0, count - 1), max_size=3)
        self.evaluating = data.draw(st.one_of(st.just(set(range(count))), some))
        for side in self.sides:
            side.set_modes(self.evaluating)

    @rule(threads=st.integers(1, 3))
    def set_threads(self, threads: int) -> None:
        minicnn.set_num_threads(threads)

    @rule()
    def keep(self) -> None:
        """A checkpoint."""
        self.kept = [side.keep(Path(self.folder.name)) for side in self.sides]

    @rule(is_new=st.booleans())
    def go_back(self, is_new: bool) -> None:
        """To the checkpoint, in the same nets or in new ones, as after a stop."""
        if self.kept is None:
            return
        for side, kept in zip(self.sides, self.kept, strict=True):
            if is_new:
                with side.leaves_nothing():
                    side.make()
            side.go_back(kept)
            side.freeze(self.frozen)
            side.set_modes(self.evaluating)

    @rule()
    def copy(self) -> None:
        """Go on with copies."""
        for side in self.sides[:2]:
            assert isinstance(side, Eager)
            with side.leaves_nothing():
                side.copy()

    # Rules in which something is raised ----------------------------------------------------------

    @rule(
        trap=st.integers(0, 1), what=st.sampled_from(["step", "predict", "accumulate"]), seed=seeds
    )
    def a_layer_raises(self, trap: int, what: str, seed: int) -> None:
        """Nothing has changed afterwards, but what eager layers in front have counted."""
        x, y = nets.batch(5, seed)
        for side in self.sides:
            nets.traps_of(side.net)[trap].is_set = True
            calls = {"step": (x, y), "predict": (x,), "accumulate": ([(x, y)],)}
            with self.unchanged(side, BoomError, is_eager=what == "accumulate"):
                getattr(side, what)(*calls[what])
            nets.traps_of(side.net)[trap].is_set = False
            side.set_modes(self.evaluating)

    @rule(seed=seeds)
    def a_batch_is_refused(self, seed: int) -> None:
        """A class that there is not, and pictures with too many channels."""
        x, y = nets.batch(5, seed)
        for side in self.sides[:2]:
            with self.unchanged(side, IndexError):
                side.step(x, y + nets.CLASSES)
            with self.unchanged(side, ValueError):
                side.step(np.concatenate([x, x], axis=1), y)

    @rule(seed=seeds)
    def a_backward_raises(self, seed: int) -> None:
        """An operation of the user's, in the middle of the way back."""
        x, y = nets.batch(5, seed)
        for side in self.sides[:2]:
            side.optimizer.zero_grad()
            with self.unchanged(side, BoomError, is_eager=True):
                logits = minicnn.apply(Doubtful(), side.net(Tensor(x)))
                side.loss(logits, Tensor(y)).backward()
            assert all(p.grad is None for p in side.net.parameters())

    # What has to hold ----------------------------------------------------------------------------

    @invariant()
    def sides_agree(self) -> None:
        """Parameters, buffers, and what minicnn's two optimisers keep."""
        if not hasattr(self, "sides"):
            return
        done["rules"] += 1
        self.number += 1
        states = [side.numbers() for side in self.sides]
        for name in states[0]:
            close([state[name] for state in states], name)
        kept = [vars(side.optimizer) for side in self.sides[:2]]
        for name, values in kept[0].items():
            if isinstance(values, list) and name != "params":
                for ours, theirs in zip(values, kept[1][name], strict=True):
                    assert (ours is None) == (theirs is None), name
                    if ours is not None:
                        close([np.asarray(ours), np.asarray(theirs)], name)

    @invariant()
    def results_stay(self) -> None:
        """Nothing writes into a prediction later; a gradient may still be asked for."""
        assert minicnn.is_grad_enabled()
        for result, copied in getattr(self, "predicted", []):
            np.testing.assert_array_equal(_numpy(result), copied)

    def teardown(self) -> None:
        """Nothing is left of any side."""
        if not hasattr(self, "sides"):
            return
        self.folder.cleanup()
        self.predicted = []
        if sys.exception():  # its traceback refers to everything
            return
        for side in self.sides[:2]:
            with side.leaves_nothing():
                vars(side).clear()

    # What the rules share ------------------------------------------------------------------------

    def predict_and_keep(self, x: np.ndarray) -> None:
        """All sides' predictions, of which minicnn's are looked at again later."""
        results = [side.predict(x) for side in self.sides]
        close([_numpy(result) for result in results], "predictions")
        self.predicted += [(result, _numpy(result).copy()) for result in results[:2]]
        self.predicted = self.predicted[-KEPT:]

    def same_masks(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """The call, with the dropout masks that the other sides have."""
        minicnn.manual_seed(self.number)
        return call(*arguments)

    def agree(self, results: Sequence[Result]) -> None:
        """All sides' results are the same."""
        close([result.loss for result in results], "loss")
        close([result.logits for result in results], "logits")
        for result in results[1:]:
            assert result.gradients.keys() == results[0].gradients.keys()
        largest = max(abs(g).max() for g in results[0].gradients.values())
        for name in results[0].gradients:
            close([result.gradients[name] for result in results], name, least=largest)

    @contextmanager
    def unchanged(
        self, side: Side, error: type[Exception], is_eager: bool = False
    ) -> Iterator[None]:
        """Inside, this is raised. The side is as before, but for the statistics that eager layers
        have moved by then, which are put back.

        is_eager: whether a compiled side runs its net eagerly here, too.
        """
        before = {name: array.copy() for name, array in side.numbers().items()}
        drawn = random.get_rng_state()
        with pytest.raises(error):
            yield
        learnt = {name for name, _ in side.net.named_parameters()}
        for name, array in side.numbers().items():
            if name in learnt or (isinstance(side, Compiled) and not is_eager):
                np.testing.assert_array_equal(array, before[name], err_msg=name)
        side.net.load_state_dict({name: side.tensor(array) for name, array in before.items()})
        random.set_rng_state(drawn)


class Doubtful(Operation):
    """Returns its input, and has no gradient."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x.copy()

    def backward(self, dy: np.ndarray) -> np.ndarray:
        raise BoomError


def with_a_batch(work: Callable[[np.ndarray, np.ndarray], None], images: int, seed: int) -> None:
    """``work(x, y)`` on pictures and labels that cannot be written to; nobody keeps them."""
    x, y = nets.batch(images, seed)
    work(x, y)
    left = weakref.ref(x)
    del x, y
    gc.collect()
    assert left() is None, "a batch is kept alive"


def close(arrays: Sequence[np.ndarray], name: str, least: float = 1.0) -> None:
    """Refuse arrays of which one differs from the first."""
    first, *others = arrays
    for other in others:
        assert other.shape == first.shape, name
        assert other.dtype == first.dtype, name
        if first.size:
            scale = max(least, abs(first).max())
            assert abs(other - first).max() <= TOLERANCE * scale, name


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())
