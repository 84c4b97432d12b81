"""What ``fit`` says about gradients: each notice provoked by a net made for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, optim, train
from minicnn.nn import functional as F
from minicnn.train import watch
from minicnn.train.callbacks import Callback, Training
from minicnn.train.recipe import RECIPES
from minicnn.train.watch import GradientWatch, shown, since_the_first_epoch

BOTH = pytest.mark.parametrize("compile", [False, True])


@pytest.fixture(autouse=True)
def compiled(compiled_kernels: None) -> None:
    """Compiled steps, in a run over the reference kernels too."""


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What ``fit`` says of gradients, line by line."""
    said: list[str] = []
    monkeypatch.setattr(watch, "say", said.append)

    def notices(net: nn.Module, few: data.Dataset, lr: float = 0.1, **options: Any) -> list[str]:
        options.setdefault("optimizer", optim.SGD(net.parameters(), lr=lr))
        options.setdefault("epochs", 2)
        loader = data.DataLoader(few, 150, raw=options.get("compile", False))
        minicnn.fit(net, loader, **options)
        lines = [line.strip() for text in said for line in text.splitlines()]
        said.clear()
        return lines

    return notices


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 5), nn.ReLU(), nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 10)
    )


def set_bias(layer: nn.Module, value: float) -> None:
    assert isinstance(layer, nn.Linear)
    assert layer.bias is not None
    layer.bias.data[:] = value


# A layer without a gradient -----------------------------------------------------------------------


@BOTH
def test_a_frozen_layer_is_named(notices: Any, few: data.Dataset, compile: bool) -> None:
    net = small()
    for parameter in net[1].parameters():
        parameter.requires_grad = False
    assert notices(net, few, compile=compile) == [
        "net[1] (Linear): stays as it is; its parameters do not require a gradient"
    ]
    next(net.parameters()).requires_grad = True  # the bias alone may stay
    assert notices(net, few, compile=compile) == []


@BOTH
def test_a_layer_that_the_optimiser_does_not_hold_is_named(
    notices: Any, few: data.Dataset, compile: bool
) -> None:
    net = small()
    optimizer = optim.SGD(list(net.parameters())[:3], lr=0.1)
    assert notices(net, few, optimizer=optimizer, compile=compile) == [
        "net[5] (Linear): stays as it is; the optimiser does not hold its parameters"
    ]


class Cut(nn.Module):
    """Two dense layers, with a detach() between; and a third that nothing calls."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, 5))
        self.head, self.spare = nn.Linear(5, 10), nn.Linear(2, 3)

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.body(input).detach())


def test_a_detached_layer_is_named(notices: Any, few: data.Dataset) -> None:
    assert notices(Cut(), few) == [
        "net.body[1] (Linear), net.spare (Linear): no gradient reaches it: detached, or not used "
        "for the loss"
    ]


@BOTH
def test_a_dead_relu_is_named_with_the_layers_that_it_stops(
    notices: Any, few: data.Dataset, compile: bool
) -> None:
    net = small()
    set_bias(net[3], -100)
    assert notices(net, few, compile=compile) == [
        "net[4] (ReLU): dead, it gives 0 for every picture: no gradient reaches",
        "net[1] (Linear), net[3] (Linear); try a lower learning rate",
    ]


def test_pixels_are_scaled_for_the_look(few: data.Dataset) -> None:
    net = small()
    set_bias(net[1], -30)  # bright pixels, not divided by 255, would come to more
    pixels = Tensor(few.images[:, None])
    assert watch.dead_relus(net, pixels) == ["net[2] (ReLU)"]
    set_bias(net[1], 0)
    assert watch.dead_relus(net, pixels) == []


class Kill(Callback):
    """Lets the ReLU die after the epoch's first batch."""

    def on_batch(self, training: Training) -> None:
        assert isinstance(training.net, nn.Sequential)
        set_bias(training.net[3], -100)


def test_what_happens_within_the_first_epoch_is_said_after_it(
    notices: Any, few: data.Dataset
) -> None:
    assert notices(small(), few, callbacks=[Kill()], epochs=1)[0].startswith("net[4] (ReLU): dead")


def test_a_look_for_dead_relus_leaves_the_training_as_it_is(few: data.Dataset) -> None:
    def weights(quiet: bool) -> list[np.ndarray]:
        minicnn.manual_seed(3)
        net = nn.Sequential(
            nn.Conv2d(1, 2, 9, stride=5), nn.BatchNorm2d(2), nn.Flatten(), nn.Dropout(0.5),
            nn.Linear(32, 6), nn.ReLU(), nn.Linear(6, 10),
        )  # fmt: skip
        set_bias(net[4], -100)
        loader = data.DataLoader(few, 70, shuffle=True)
        optimizer = optim.SGD(net.parameters(), lr=0.1)
        minicnn.fit(net, loader, optimizer=optimizer, epochs=2, quiet=quiet)
        assert all(module.training for module in net.modules())
        return [t.numpy() for t in net.state_dict().values()]

    for watched, alone in zip(weights(quiet=False), weights(quiet=True), strict=True):
        np.testing.assert_array_equal(watched, alone)


def test_a_look_for_dead_relus_draws_nothing(few: data.Dataset) -> None:
    class Noisy(nn.Module):
        """Draws in evaluation mode too."""

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 10))
            self.direct = nn.Linear(784, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.dropout(x.reshape(-1, 784), 0.5, training=True)
            x = x + 0.1 * minicnn.randn(*x.shape)
            return self.body(x) + self.direct(x)

    def weights(quiet: bool) -> np.ndarray:
        minicnn.manual_seed(3)
        net = Noisy()
        set_bias(net.body[0], -100)
        optimizer = optim.SGD(net.parameters(), lr=0.1)
        minicnn.fit(net, few, optimizer=optimizer, epochs=2, quiet=quiet)
        return net.direct.weight.numpy()

    np.testing.assert_array_equal(weights(quiet=False), weights(quiet=True))


def test_saturated_sigmoids_give_no_gradient(notices: Any, few: data.Dataset) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 5), nn.Sigmoid(), nn.Linear(5, 10))
    set_bias(net[1], 200)
    assert notices(net, few) == [
        "net[1] (Linear): its gradient is exactly 0; saturated sigmoids or tanhs?"
    ]


def test_a_loss_of_0_is_nothing_to_speak_of(notices: Any, few: data.Dataset) -> None:
    net = small()
    assert notices(net, few, loss=lambda logits, y: F.cross_entropy(logits, y) * 0) == []


# Vanishing and exploding --------------------------------------------------------------------------


@BOTH
def test_a_gradient_that_vanishes_on_its_way_back_is_named(
    notices: Any, few: data.Dataset, compile: bool
) -> None:
    net = models.mlp(hidden=(6,) * 10, activation="sigmoid")
    first, second = notices(net, few, compile=compile)[:2]
    assert first.startswith("net[1] (Linear): its gradient is ")
    assert 1e-12 < float(first.split()[5]) < 1e-4
    assert first.endswith("of that of net[21] (Linear):")
    assert second == "it vanishes on its way back; try ReLU, Xavier's weights, BatchNorm2d"


class Scale(Callback):
    """Makes the last layer's weights larger or smaller after an epoch."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def on_epoch(self, training: Training) -> None:
        *_, weight, _ = training.net.parameters()
        weight.data = weight.data * np.float32(self.factor)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1e4, "times that of the first epoch: it explodes; try a lower learning rate"),
        (1e-4, "of the first epoch's, the loss has not fallen: its activations are saturated;"),
    ],
)
def test_a_gradient_is_compared_with_the_first_epochs(
    factor: float, said: str, notices: Any, few: data.Dataset
) -> None:
    net = small()
    *_, weight, _ = net.parameters()
    weight.data *= np.float32(min(1, 1 / factor))
    options = {"callbacks": [Scale(factor)], "lr": 1e-9}
    assert "first epoch" not in " ".join(notices(net, few, **options, epochs=1))
    weight.data /= np.float32(factor)
    found = " ".join(notices(net, few, **options))
    assert re.search(rf"net\[1\] \(Linear\): its gradient is \S+ {re.escape(said)}", found)


def test_a_gradient_that_shrinks_as_the_net_learns_is_no_news() -> None:
    first, norms = {"a": 1.0, "b": 2e-9}, {"a": 1e-4, "b": 1e-9}
    assert list(since_the_first_epoch(norms, first, learns=True)) == []
    found = since_the_first_epoch(norms, first, learns=False)
    assert [(finding.key, finding.where) for finding in found] == [("shrunk", "a")]


def test_a_finite_loss_that_is_worse_than_at_first_is_said_once(
    notices: Any, few: data.Dataset
) -> None:
    found = notices(models.mlp(hidden=(20,)), few, lr=2, epochs=4)
    assert len([line for line in found if "worse than guessing, it diverged" in line]) == 1


# What is not said ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("model", models.PRESETS)
def test_the_presets_are_trained_without_a_word(
    model: str, compile: bool, notices: Any, few: data.Dataset
) -> None:
    net, recipe = models.build(model), RECIPES[model]
    optimizer = recipe.optimizer_of(net)
    found = notices(net, few[:60], optimizer=optimizer, compile=compile)
    assert "net[" not in " ".join(found)


@pytest.mark.long
@pytest.mark.parametrize("model", models.PRESETS)
def test_the_presets_are_trained_on_the_whole_sample_without_a_word(
    model: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dataset", "fashion-mnist-sample", "--model", model]
    assert train.main([*options, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "net[" not in printed
    assert "diverged" not in printed


def test_quiet_neither_looks_nor_says(few: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(GradientWatch, "on_batch", look)
    net = small()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    minicnn.fit(net, data.DataLoader(few, 150), optimizer=optimizer, epochs=1, quiet=True)


def test_a_module_is_shown_as_it_is_written() -> None:
    net = nn.Sequential(nn.Sequential(nn.ReLU()), Cut())
    written = [shown(name, module) for name, module in net.named_modules()]
    assert written[:3] == ["net (Sequential)", "net[0] (Sequential)", "net[0][0] (ReLU)"]
    assert written[-1] == "net[1].spare (Linear)"


# Labels -------------------------------------------------------------------------------------------


@BOTH
def test_a_label_that_the_net_has_no_output_for_is_refused_before_the_first_step(
    few: data.Dataset, compile: bool
) -> None:
    few.labels[137:] = np.where(few.labels[137:] == 9, 12, few.labels[137:])
    first = int((few.labels == 12).argmax())
    net = models.mlp(hidden=(3,))
    weight = next(net.parameters())
    before = weight.numpy().copy()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    wanted = (
        rf"^fit: train has the label 12 \(example {first}\); wanted 0 to 9, for net ends in 10 "
        r"outputs: nn\.Linear\(3, 13\)$"
    )
    with pytest.raises(IndexError, match=wanted):
        minicnn.fit(net, data.DataLoader(few, 50), optimizer=optimizer, compile=compile, quiet=True)
    np.testing.assert_array_equal(weight.numpy(), before)
    loss = nn.CrossEntropyLoss(ignore_index=12)
    loader = data.DataLoader(few, 150)
    minicnn.fit(net, loader, optimizer=optimizer, loss=loss, epochs=1, compile=compile, quiet=True)


def test_before_the_first_batch_there_is_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    GradientWatch()(minicnn.History([{"epoch": 1, "loss": 0.5}]))
    assert capsys.readouterr().out == ""
