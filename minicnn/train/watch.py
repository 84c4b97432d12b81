"""Watches the gradients of a training, and says what is wrong with them where it can know."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn import nn, random
from minicnn.data import DataLoader
from minicnn.device import to_host
from minicnn.language import notice
from minicnn.nn import functional as F
from minicnn.nn.modes import in_evaluation_mode
from minicnn.tensor import Tensor, no_grad
from minicnn.terminal import say
from minicnn.train.callbacks import Callback, Training
from minicnn.train.measure import History

# Measured on the four presets: a gradient is at least 0.0017 times as long as the longest of the
# layers after it. Compared with its own in the first epoch it is 0.015 times as long (a net that
# learns) to 150 times (one that leaves the plateau).
VANISHING = 1e-4
SHRUNK, GROWN = 1e-3, 1e3
WORSE = 2  # times the first batch's loss: a net that learns has no epoch of so large a mean


class Finding(NamedTuple):
    """Something to say: a notice, and the values in its places."""

    key: str
    where: str
    values: dict[str, str]


class GradientWatch(Callback):
    """Looks at the gradients of each epoch's first and last batch. As a report it says, once each,
    what it found."""

    def __init__(self) -> None:
        self.first_norms: dict[str, float] = {}  # each layer's largest of the first epoch
        self.first_epoch = 0
        self.first_loss = 0.0
        self.findings: dict[tuple[str, str], Finding] = {}  # by what and where, in their order
        self.said = 0

    def on_batch(self, training: Training) -> None:
        if training.batch not in (1, len(training.loader)):
            return
        if not self.first_epoch:
            self.first_epoch = training.epoch
            self.first_loss = training.watch.first or 0.0
        norms = gradient_norms(training)
        found = [*without_gradient(training, norms), *vanishing(norms)]
        if training.epoch > self.first_epoch:
            learns = training.step.means.read()["loss"] < self.first_loss / 2
            found += since_the_first_epoch(norms, self.first_norms, learns)
        else:
            earlier = self.first_norms
            self.first_norms = {name: max(n, earlier.get(name, 0)) for name, n in norms.items()}
        for finding in found:
            self.findings.setdefault(finding[:2], finding)

    def __call__(self, history: History) -> None:
        """Say what is new since the last epoch."""
        loss = history.epochs[-1]["loss"]
        if loss > WORSE * max(self.first_loss, 1):
            finding = Finding(
                "diverged", "", {"loss": f"{loss:.3g}", "first": f"{self.first_loss:.3g}"}
            )
            self.findings.setdefault(finding[:2], finding)
        for key, where, values in list(self.findings.values())[self.said :]:
            say(notice(f"watch_{key}", where=where, **values))
        self.said = len(self.findings)


def layers_of(net: nn.Module) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """The layers with parameters of their own, as they are shown, and these with their names."""
    found = {}
    for name, module in net.named_modules():
        own = [(f"{name}.{key}" if name else key, p) for key, p in module._parameters.items()]
        if own:
            found[shown(name, module)] = own
    return found


def shown(name: str, module: nn.Module) -> str:
    """A module as it is written, and its class: ``net.body[3] (Linear)``."""
    parts = name.split(".") if name else []
    written = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return f"net{written} ({type(module).__name__})"


def gradient_norms(training: Training) -> dict[str, float]:
    """The length of the last batch's gradient with respect to each layer's parameters.

    Without the layers that got none.
    """
    gradients = training.step.gradients()
    norms = {}
    for layer, parameters in layers_of(training.net).items():
        own = [to_host(gradients[name].data) for name, _ in parameters if name in gradients]
        if own:
            norms[layer] = math.hypot(*(float(np.linalg.norm(gradient)) for gradient in own))
    return norms


# What can be wrong --------------------------------------------------------------------------------


def without_gradient(training: Training, norms: dict[str, float]) -> Iterator[Finding]:
    """Layers that do not learn, and why."""
    held = {id(p) for p in training.optimizer.params}
    reasons: dict[str, list[str]] = {}
    for layer, parameters in layers_of(training.net).items():
        if not any(p.requires_grad for _, p in parameters):
            reasons.setdefault("frozen", []).append(layer)
        elif not any(id(p) in held for _, p in parameters):
            reasons.setdefault("not_held", []).append(layer)
        elif layer not in norms:
            reasons.setdefault("detached", []).append(layer)
        elif norms[layer] == 0 and any(norms.values()):  # all are 0 where the loss is
            reasons.setdefault("zero", []).append(layer)
    if "zero" in reasons and (dead := dead_relus(training.net, training.x)):
        yield Finding("dead", ", ".join(dead), {"layers": ", ".join(reasons.pop("zero"))})
    for reason, layers in reasons.items():
        yield Finding(reason, ", ".join(layers), {})


def dead_relus(net: nn.Module, x: Tensor) -> list[str]:
    """The ReLUs whose output is 0 for all of the pictures ``x``, cell by cell."""
    dead = []

    def look(relu: nn.Module, _: Any, output: Tensor) -> None:
        if not output.data.any():
            dead.append(names[id(relu)])

    relus = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.ReLU)]
    names = {id(module): shown(name, module) for name, module in relus}
    hooks = [module.register_forward_hook(look) for _, module in relus]
    drawn = random.get_rng_state()  # a net of one's own may draw in evaluation mode too
    try:
        with in_evaluation_mode(net), no_grad():
            net(x if x.dtype.kind == "f" else x.to(next(net.parameters()).dtype) / 255)
    finally:
        random.set_rng_state(drawn)
        for hook in hooks:
            hook.remove()
    return dead


def vanishing(norms: dict[str, float]) -> Iterator[Finding]:
    """The first layer whose gradient is far shorter than the longest of the layers after it."""
    layers = [layer for layer, norm in norms.items() if norm]
    for i, layer in enumerate(layers[:-1], start=1):
        after = max(layers[i:], key=norms.__getitem__)
        ratio = norms[layer] / norms[after]
        if ratio < VANISHING:
            yield Finding("vanishing", layer, {"after": after, "ratio": f"{ratio:.0e}"})
            return


def since_the_first_epoch(
    norms: dict[str, float], first: dict[str, float], learns: bool
) -> Iterator[Finding]:
    """Layers whose gradient has become far longer; or far shorter, unless the net ``learns``."""
    for layer, norm in norms.items():
        ratio = norm / first[layer] if first.get(layer) else 1.0
        if not ratio <= GROWN:
            yield Finding("grown", layer, {"ratio": f"{ratio:.0e}"})
        elif not learns and 0 < ratio < SHRUNK:
            yield Finding("shrunk", layer, {"ratio": f"{ratio:.0e}"})


# Labels -------------------------------------------------------------------------------------------


def check_labels(net: nn.Module, loader: Any, loss: Any) -> None:
    """Refuse class indices that the net has no output for, before anything is trained.

    As far as its outputs are known: those of a Sequential that ends in a dense layer.

    Raises:
        IndexError: a label of the loader's is too large.
    """
    last = list(net)[-1] if isinstance(net, nn.Sequential) and len(net) else None
    of_indices = isinstance(loss, nn.CrossEntropyLoss) or loss is F.cross_entropy
    if not of_indices or type(last) is not nn.Linear or not isinstance(loader, DataLoader):
        return
    labels, classes = to_host(loader.labels), last.out_features
    too_large = (labels >= classes) & (labels != getattr(loss, "ignore_index", -100))
    if too_large.any():
        first = int(too_large.argmax())
        raise IndexError(
            f"fit: train has the label {labels[first]} (example {first}); wanted 0 to "
            f"{classes - 1}, for net ends in {classes} outputs: nn.Linear({last.in_features}, "
            f"{int(labels.max()) + 1})"
        )
