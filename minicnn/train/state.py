"""The whole state of a training in one file, from which ``fit(..., resume=path)`` goes on.

It is a safetensors file: the arrays of net and optimiser, and among its metadata a JSON text
``state`` with all numbers, and ``sha256``, a digest of all other bytes of the file. One file, so
that a rename replaces everything at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import json_files, random
from minicnn.data import DataLoader
from minicnn.device import on_device_of, to_host
from minicnn.files import expand, write_whole
from minicnn.formats import in_short, shown
from minicnn.train.callbacks import Callback, Training
from minicnn.train.facts import check_beginning, check_facts

FORMAT = 1  # changes with what a file holds
SEAL = b'"sha256":"'  # stands before the digest; inside a JSON text its quotes would be escaped
DIGITS = 64
PLACE = ("epoch", "batch", "seconds", "drawn_from")  # of a ``Training``


@dataclass
class State:
    """What a file holds.

    Attributes:
        arrays: ``net.<name>`` for each entry of the net's state_dict, ``optimizer.<attribute>.<i>``
            for what the optimiser keeps of parameter i.
        facts: everything else, as in the file's JSON. ``facts["optimizer"]["lr"]`` may be changed
            before ``fit`` gets it, and so may the other settings.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def epochs_done(self) -> int:
        """How many epochs are over and measured."""
        return len(self.facts["history"]["epochs"])

    @property
    def first_lr(self) -> float:
        """The learning rate before any schedule's steps."""
        optimizer = self.facts["optimizer"]
        lr: float = optimizer.get("initial_lr", optimizer["lr"])
        return lr


class Checkpoint(Callback):
    """Keeps the state of a training in a file: after each epoch, and at a Ctrl-C.

        fit(net, train, optimizer=optimizer, callbacks=[Checkpoint("net.state")])
        fit(net, train, optimizer=optimizer, resume="net.state")  # later, in another process

    Args:
        path: the file; it is replaced whole each time.
        every: keep it after this number of batches within an epoch, too.

    Raises:
        ValueError: ``every`` is neither None nor an int >= 1.
        FileNotFoundError: there is no folder for the file.
    """

    def __init__(self, path: str | Path, every: int | None = None):
        if every is not None and (not isinstance(every, int | np.integer) or every < 1):
            raise ValueError(f"Checkpoint: every is {shown(every)}; wanted None or an int >= 1")
        if not (folder := expand(path).parent).is_dir():
            raise FileNotFoundError(f"Checkpoint: {path}: there is no folder {folder}")
        self.path, self.every = path, every

    def on_batch(self, training: Training) -> None:
        """Keep the state, if it is time to."""
        if self.every and training.batch % self.every == 0:
            save(training, self.path)

    def on_epoch(self, training: Training) -> None:
        """Keep the state."""
        save(training, self.path)

    def on_interrupt(self, training: Training) -> None:
        """Keep the state."""
        save(training, self.path)


# The file -----------------------------------------------------------------------------------------


def save(training: Training, path: str | Path) -> None:
    """Write the state of a training to a file, whole or not at all: see ``write_whole``.

    Raises:
        RuntimeError: an update is under way.
        TypeError: the optimiser has an attribute that is neither a number nor a list of arrays.
        OSError: it cannot be written.
    """
    from safetensors.numpy import save as serialize

    if not training.is_whole:
        raise RuntimeError("save: an update is under way; wanted a training between two updates")
    state = state_of(training)
    text = json.dumps(state.facts, default=_as_number)
    arrays = {name: np.array(array, order="C") for name, array in state.arrays.items()}
    content = serialize(arrays, {"state": text, "sha256": "0" * DIGITS})
    start = content.index(SEAL) + len(SEAL)
    digest = _digest_without(content, start)
    write_whole(path, content[:start] + digest + content[start + DIGITS :])


def load(path: str | Path) -> State:
    """Read a file that ``save`` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: another kind of file, or a damaged one: a single changed bit is noticed.
    """
    return _parsed(expand(path).read_bytes(), path)


def _parsed(content: bytes, path: str | Path) -> State:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    if SEAL not in content:
        raise ValueError(f"{path} is not the state of a training, or it is damaged")
    start = content.index(SEAL) + len(SEAL)
    if content[start : start + DIGITS] != _digest_without(content, start):
        raise ValueError(f"{path} is damaged: its SHA-256 is not the one that it was written with")
    try:
        arrays = parse(content)
        header = json_files.parsed(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json_files.parsed(header["__metadata__"]["state"])
        if facts["format"] != FORMAT:
            told = shown(facts["format"])
            raise ValueError(f"it has format {told}; wanted {FORMAT}: another minicnn's")
        check_beginning(facts)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the state of a training: {in_short(error)}") from None
    return State(arrays, facts)


def _digest_without(content: bytes, start: int) -> bytes:
    """The SHA-256, in hexadecimal, of all but the digits that begin at ``start``."""
    digest = hashlib.sha256(content[:start])
    digest.update(content[start + DIGITS :])
    return digest.hexdigest().encode()


def _as_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a state holds numbers, texts and arrays; received {shown(value)}")


# From a training and into one ---------------------------------------------------------------------


def state_of(training: Training) -> State:
    """The state of a training. Arrays on the CPU are those that it computes with, not copies."""
    if training.curve is not None:
        training.curve.read()
    optimizer, kept = _taken_apart(training.optimizer, "params")
    arrays = {f"net.{name}": value.data for name, value in training.net.state_dict().items()}
    arrays |= {f"optimizer.{name}": array for name, array in kept.items()}
    facts = {
        "format": FORMAT,
        "kinds": _kinds(training),
        "optimizer": optimizer,
        "schedule": training.schedule and _taken_apart(training.schedule, "optimizer")[0],
        "epochs": training.epochs,
        **{name: getattr(training, name) for name in PLACE},
        "streams": streams(training.loader),
        "sums": _sums(training.step),
        "first_loss": training.watch.first,
        "history": vars(training.history),
    }
    return State({name: to_host(array) for name, array in arrays.items()}, facts)


def restore(training: Training, state: State | str | Path) -> None:
    """Bring a training, and the random streams of this process, to where a state was kept.

    ``training.epochs`` stays. If the state does not fit, nothing is changed.

    Raises:
        OSError, ValueError: see ``load``.
        ValueError: a state of another net, optimiser or schedule, of other images, or of other
            batches; one that is further on than ``training.epochs``.
    """
    state = state if isinstance(state, State) else load(state)
    try:
        check(training, state)
        facts = _as_json(state.facts)  # plain numbers, as from a file
    except (ValueError, TypeError) as error:
        raise ValueError(f"resume: {error}") from None
    training.net.load_state_dict(dict(_below("net.", state.arrays)))
    _put_together(training.optimizer, facts["optimizer"], _below("optimizer.", state.arrays))
    if training.schedule is not None:
        _put_together(training.schedule, facts["schedule"], [])
    for name in PLACE:
        setattr(training, name, facts[name])
    go_to(facts["streams"], training.loader)
    _set_sums(training.step, facts["sums"])
    training.watch.first = facts["first_loss"]
    vars(training.history).update(facts["history"])


def with_rate_of(training: Training, state: State) -> None:
    """Have the state go on with the learning rate and the schedule of a training that is new.

    The schedule takes as many steps as epochs are over: a cosine over another number of epochs goes
    on from its place in the new curve.
    """
    if training.schedule is not None:
        for _ in range(state.epochs_done):
            training.schedule.step()
    now, facts = state_of(training).facts, state.facts
    facts["optimizer"] |= {k: v for k, v in now["optimizer"].items() if k in ("lr", "initial_lr")}
    facts["schedule"] = now["schedule"]


def streams(loader: DataLoader) -> dict[str, Any]:
    """Where everything stands that is drawn: the loader's epoch, the process's random streams."""
    return {"loader": getattr(loader, "epoch", None), "random": random.get_rng_state()}


def go_to(streams: dict[str, Any], loader: DataLoader) -> None:
    """Go on drawing from there."""
    if streams["loader"] is not None:
        loader.epoch = streams["loader"]
    random.set_rng_state(streams["random"])


def _kinds(training: Training) -> dict[str, Any]:
    """What has to be the same in the training that goes on."""
    loader, schedule = training.loader, training.schedule
    dataset, scale = getattr(loader, "dataset", None), getattr(loader, "scale", None)
    return {
        "optimizer": training.optimizer.name,
        "schedule": schedule and type(schedule).__name__,
        "number of parameters": len(training.optimizer.params),
        "images": dataset and dataset.digest,
        **{name: getattr(loader, name, None) for name in ("batch_size", "shuffle", "seed")},
        "number of batches": len(loader),
        "normalise": None if scale is None else to_host(scale).ravel().tolist(),
    }


def check(training: Training, state: State) -> None:
    """Refuse a state that is not of this training, or further on than its last epoch.

    Raises:
        ValueError: see ``restore``.
    """
    now, net = _kinds(training), training.net.state_dict()
    if training.epochs < (started := state.facts["epoch"]):
        raise ValueError(f"epochs is {training.epochs}; the state is in epoch {started}")
    for name, then in state.facts["kinds"].items():
        if now.get(name) != then and name == "images":
            raise ValueError("these are not the images and labels of the state's training")
        if now.get(name) != then:
            told = f"the state's training has {shown(then, str)}"
            raise ValueError(f"{shown(name, str)} is {now.get(name)}; {told}")
    theirs = {name: (array.shape, array.dtype) for name, array in _below("net.", state.arrays)}
    ours = {name: (tensor.shape, tensor.dtype) for name, tensor in net.items()}
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            raise ValueError(f"the state is another net's: they differ in {shown(name, str)}")

    then, here = _as_json(state.facts), _as_json(state_of(training).facts)
    check_facts(then, here, len(training.loader))
    _check_kept(training, state)


def _check_kept(training: Training, state: State) -> None:
    """Refuse arrays of the optimiser that belong to no parameter, or have another shape."""
    shapes = [p.shape for p in training.optimizer.params]
    lists = {n for n, v in vars(training.optimizer).items() if isinstance(v, list)} - {"params"}
    for place, array in _below("optimizer.", state.arrays):
        name, _, i = place.rpartition(".")
        known = name in lists and i.isdecimal() and int(i) < len(shapes)
        if not known or array.shape != shapes[int(i)]:
            raise ValueError(
                f"the state is another optimiser's: they differ in {shown(place, str)}"
            )


def _as_json(facts: dict[str, Any]) -> Any:
    """Facts as they come back from a file."""
    return json.loads(json.dumps(facts, default=_as_number))


def _sums(step: Any) -> tuple[float, int, int] | None:
    """What the epoch's means are computed from, as they were added up."""
    return step and (float(step.means.loss), int(step.means.correct), step.means.examples)


def _set_sums(step: Any, sums: tuple[float, int, int] | None) -> None:
    if sums is not None:
        means = step.means
        loss, correct, means.examples = sums
        with on_device_of(means.loss):  # a CUDA graph knows these two arrays by their addresses
            means.loss.fill(loss)
            means.correct.fill(correct)


def _taken_apart(thing: Any, left_out: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The attributes of an optimiser or a schedule, and as ``name.i`` the arrays in its lists.

    Functions are left out: they cannot be kept.
    """
    facts: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for name, value in vars(thing).items():
        if name == left_out or callable(value):
            continue
        if isinstance(value, list):
            arrays |= {f"{name}.{i}": part for i, part in enumerate(value) if _is_array(part)}
            facts[name] = [None if _is_array(part) else part for part in value]
        else:
            facts[name] = value
    return facts, arrays


def _put_together(
    thing: Any, facts: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]]
) -> None:
    """The way back of ``_taken_apart``."""
    for name, value in facts.items():
        is_tuple = isinstance(getattr(thing, name, None), tuple)
        setattr(thing, name, tuple(value) if is_tuple else value)
    for place, array in arrays:
        name, i = place.rsplit(".", 1)
        getattr(thing, name)[int(i)] = array.copy()


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape")


def _below(prefix: str, arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays whose names begin with ``prefix``, by the remainders of their names."""
    for name, array in arrays.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), array
