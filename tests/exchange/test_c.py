"""One C file: it computes what the net computes, compiles without a warning and checks itself."""

from __future__ import annotations

import math
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn
from minicnn.data import Dataset
from minicnn.exchange import c
from minicnn.exchange.c import int8, memory, text
from minicnn.exchange.c.read import steps_of
from tests.exchange.compiling import called, needs_a_compiler, self_test
from tests.exchange.nets import SIZE, computed, draw, every_layer, settled

NORMALISE = {"mean": [0.5, 0.25, 0.4], "std": [0.2, 0.5, 1.5]}


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-5) -> None:
    """Within 1e-5, of the largest logit where that is above 1."""
    assert np.isfinite(ours).all()
    assert np.abs(ours - theirs).max() <= tolerance * max(1, np.abs(theirs).max())


def some_pictures(count: int, shape: tuple[int, ...] = SIZE, classes: int = 5) -> Dataset:
    """Pictures with a bright row each, whose number is their class."""
    rng = minicnn.random.default_generator()
    images = rng.integers(0, 130, (count, *shape))
    labels = rng.integers(0, classes, count)
    images[np.arange(count), :, labels] += 120
    return Dataset(images, labels, classes)


@needs_a_compiler
def test_a_net_of_every_layer(tmp_path: Path) -> None:
    net, x = every_layer(), draw((20, *SIZE))
    made = c.export(net, tmp_path / "net.c", image_shape=SIZE)
    assert made.path == tmp_path / "net.c"
    assert made.accuracy is None
    agree(called(made.path, x, 5), computed(net, x))
    assert "Conv2d(4, 6, kernel_size=(3, 2)" in made.path.read_text()


@needs_a_compiler
@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_windows_over_the_end_alone_and_the_eps_of_a_batch_norm(kind: Any, tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3, eps=0.5), kind((3, 2), (2, 3), ceil_mode=True)).eval()
    path, x = tmp_path / f"{kind.__name__}.c", draw((3, 3, 12, 9))
    c.export(net, path, image_shape=(3, 12, 9))
    wanted = computed(net, x).reshape(3, -1)
    agree(called(path, x, wanted.shape[1]), wanted)


@needs_a_compiler
def test_windows_beyond_the_end_rows_of_a_picture_large_logits_and_nan(tmp_path: Path) -> None:
    last = nn.Linear(6, 6)
    last.bias = nn.Parameter(np.full(6, 200, np.float32))
    net = nn.Sequential(
        nn.Conv2d(3, 4, 2, padding="same"), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 2, (2, 1), dilation=(3, 1)), nn.ZeroPad2d((2, -1, 0, 3)), last, nn.Softmax(-1),
    )  # fmt: skip
    x = draw((4, *SIZE))
    x[2, 1, 4, 3] = np.nan
    c.export(net, tmp_path / "net.c", image_shape=SIZE)
    wanted = computed(net, x).reshape(4, -1)
    assert np.isnan(wanted[2]).any()
    assert np.isfinite(wanted).any(axis=1).all()
    np.testing.assert_allclose(called(tmp_path / "net.c", x, wanted.shape[1]), wanted, atol=5e-5)


@needs_a_compiler
def test_the_file_checks_itself_and_sees_a_wrong_number(tmp_path: Path) -> None:
    net, path = every_layer(), tmp_path / "net.c"
    c.export(net, path, image_shape=SIZE, name="Letters_2", normalise=NORMALISE)
    done = self_test(path, "LETTERS_2_SELF_TEST")
    assert done.returncode == 0, done.stderr
    worst = re.match(r"largest difference (\S+),", done.stdout)
    assert worst
    assert float(worst[1]) < 1e-5
    code = path.read_text()
    first = re.search(r"weight_2\[4\]\[3\]\[2\]\[3\] =\n[{\n]*([^,]+),", code)
    assert first
    path.write_text(code[: first.start(1)] + "2.5f" + code[first.end(1) :])
    assert self_test(path, "LETTERS_2_SELF_TEST").returncode == 1


@needs_a_compiler
def test_int8_computes_in_c_what_it_computes_here(tmp_path: Path) -> None:
    net, path = settled(nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(),
        nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=3), nn.BatchNorm2d(6),
        nn.Tanh(), nn.AvgPool2d((2, 3), padding=(1, 1), count_include_pad=False),
        nn.Conv2d(6, 4, 2, padding="same", dilation=(1, 2)), nn.ReLU(), nn.BatchNorm2d(4),
        nn.MaxPool2d(2, 1, padding=1), nn.Sigmoid(), nn.Flatten(), nn.Linear(4 * 5 * 4, 7),
        nn.Tanh(), nn.Linear(7, 5, bias=False), nn.ReLU(),
    )), tmp_path / "net.c"  # fmt: skip
    train, test = some_pictures(300), some_pictures(40)
    made = c.export(net, path, image_shape=SIZE, normalise=NORMALISE, int8_from=(train, test))
    steps = int8.quantised(c._steps(net, SIZE, NORMALISE), c._pixels(train))
    x = c._pixels(test)
    results = called(path, x, 5)
    np.testing.assert_array_equal(results, int8.compute(steps, x))
    wanted = computed(net, c._of_pixels(SIZE, NORMALISE).compute(x))
    assert 1e-5 < np.abs(results - wanted).max() < 0.05
    assert made.accuracy is not None
    assert made.accuracy[1] == (results.argmax(1) == test.labels).mean()
    assert f"{made.accuracy[1]:.4f} in this file" in path.read_text()
    assert self_test(path).returncode == 0


def test_an_int8_need_not_stand_for_what_the_next_layer_cuts_off() -> None:
    first, second = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
    first.weight.data[:, 0, 0, 0] = [-4, 0.5]
    second.weight.data[0, :, 0, 0] = [1, 100]
    net = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(1), second, nn.Sigmoid())
    pixels = np.linspace(0, 1, 20, dtype=np.float32).reshape(1, 1, 4, 5)
    peaks = int8._peaks(steps_of(net, (1, 4, 5)), pixels)
    np.testing.assert_allclose(peaks, [0.5, 0.5, 0.5, 6, 1])


def test_scales_are_measured_on_pictures_of_all_classes_of_a_sorted_set() -> None:
    for count, measured in ((2500, 834), (1000, 1000), (3, 3)):
        images = np.zeros((count, 1, 1), np.uint8)
        found = c._some(Dataset(images, np.arange(count) * 3 // count, 3))
        assert len(found) == measured
        assert np.bincount(found.labels).min() > measured // 3 - 2
    assert len(c._some(Dataset(np.zeros((1, 2, 2), np.uint8), [0], 1))) == 1


def test_the_head_says_how_much_memory_and_names_the_layers(tmp_path: Path) -> None:
    net = models.lenet(image_shape=(1, 20, 17), channels=(3, 4), hidden=(9,), classes=6)
    made = c.export(net, tmp_path / "a.c", image_shape=(1, 20, 17), title="small */ /* net")
    code = made.path.read_text()
    assert made.constant_bytes == 4 * sum(p.size for p in net.parameters())
    assert made.scratch_bytes == 4 * (3 * 20 * 17 + 3 * 10 * 8)  # a picture and the pooled one
    head = code[: code.index("#include")]
    assert f"{made.constant_bytes:,} bytes of constants" in head
    assert f"{made.scratch_bytes:,} bytes of scratch" in head
    assert head.startswith("/* a.c: small * / / * net, ")
    assert re.search(r"avg_pool_3 +3 x 10 x 8 +float +0 +AvgPool2d\(2, stride=2", head)
    assert "malloc" not in code
    assert set(re.findall("#include <(.*)>", code)) == {"math.h", "stdio.h"}


@pytest.mark.parametrize("quantise", [False, True])
def test_what_is_written_lies_apart_from_what_is_read(quantise: bool) -> None:
    steps = steps_of(every_layer()[:11], SIZE)
    if quantise:
        steps = int8.quantised(steps, c._pixels(some_pictures(30)))
    calls, cells = memory.plan(steps)
    assert (calls[0][0], calls[-1][1]) == ("pixels", "logits")
    used = 0
    for step, (source, target) in zip(steps[1:-1], calls[1:-1], strict=True):
        x_name, x_first, x_end = span(source, step.input_shape)
        y_name, y_first, y_end = span(target, step.output_shape)
        assert y_end <= cells[step.y_type]
        used = max(used, x_end, y_end)
        apart = x_name != y_name or x_end <= y_first or y_end <= x_first
        assert apart or (step.cell_by_cell and source == target)
    assert used == max(cells.values())


def span(place: str, shape: tuple[int, ...]) -> tuple[str, int, int]:
    """Which memory, and the first and the last cell there: ``bytes + 20``."""
    name, _, start = place.partition(" + ")
    first = int(start or 0)
    return name, first, first + math.prod(shape)


def test_numbers_are_exact_and_names_are_c_strings() -> None:
    for value in (0.1, 1.0, 1e-45, 3.4028235e38, -16777217.0, 1 / 3):
        written = text.number(np.float32(value))
        assert np.float32(written.removesuffix("f")) == np.float32(value)
        assert re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?f", written)
        assert "." in written or "e" in written
    assert text.string('a"b\\c??/é') == '"a\\"b\\\\c\\?\\?/\\303\\251"'


class Doubled(nn.ReLU):
    """A layer of somebody's own."""


def other_forward() -> nn.Module:
    layer = nn.ReLU()
    layer.forward = lambda input: input + input  # type: ignore[method-assign]
    return layer


@pytest.mark.parametrize(
    ("net", "options", "kind", "said"),
    [
        (nn.Sequential(nn.Sequential(Doubled())), {}, TypeError, "layer 0.0: Doubled has no C"),
        (other_forward(), {}, TypeError, "layer net: ReLU has no C function"),
        (nn.CrossEntropyLoss(), {}, TypeError, "layer net: CrossEntropyLoss has no C function"),
        (nn.Sequential(nn.Flatten(), nn.ZeroPad2d(1)), {}, ValueError, "layer 1: ZeroPad2d.* j"),
        (nn.Flatten(0), {}, ValueError, r"Flatten\(\) joins the pictures of a batch"),
        (nn.Softmax(0), {}, ValueError, r"Softmax\(dim=0\) joins the pictures"),
        (nn.BatchNorm2d(3, track_running_stats=False), {}, ValueError, "without running stat"),
        (nn.Conv2d(2, 5, 1), {}, ValueError, "layer net: conv2d: input .* 3 channels"),
        (nn.Flatten(), {}, ValueError, "the net computes nothing"),
        (nn.ReLU(), {"classes": ["a", "b"]}, ValueError, "2 names; the net has 390 outputs"),
        (nn.ReLU(), {"name": "2nd"}, ValueError, "name is '2nd'; wanted a letter"),
        (nn.ReLU(), {"image_shape": (28, 28)}, ValueError, r"image_shape is \(28, 28\); wanted"),
        (nn.ReLU(), {"normalise": {"mean": [0.5], "std": [1.0]}}, ValueError, "3 numbers each"),
        (nn.ReLU(), {"normalise": {"mean": [np.nan] * 3, "std": [1.0] * 3}}, ValueError,
         "shift of a step is not finite: the pixels"),
        (nn.ReLU().forward, {}, TypeError, "net is of type method; wanted a minicnn module"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_named(
    net: nn.Module, options: dict[str, Any], kind: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        c.export(net, tmp_path / "net.c", **{"image_shape": SIZE, **options})
    assert list(tmp_path.iterdir()) == []


def test_int8_names_what_it_cannot_do(tmp_path: Path) -> None:
    sets = some_pictures(9), some_pictures(4)
    for net, said in (
        (nn.Sequential(nn.ReLU(), nn.Tanh()), "no layer of the net has weights"),
        (nn.Sequential(nn.Softmax(1), nn.Conv2d(3, 2, 2)), "int8 wants it at the end"),
    ):
        with pytest.raises(ValueError, match=said):
            c.export(net, tmp_path / "net.c", image_shape=SIZE, int8_from=sets)


def test_sums_that_might_not_fit_in_32_bits_are_refused() -> None:
    most = (2**31 - 1) // 127**2
    for terms, fits in ((most, True), (most + 1, False)):
        (step,) = steps_of(nn.Linear(terms, 1), (1, 1, terms))
        with nullcontext() if fits else pytest.raises(ValueError, match="adds up 133,145 products"):
            step.quantised(1, 1)


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    last = nn.Linear(math.prod(SIZE), 4)
    net = nn.Sequential(nn.Flatten(), last)
    assert last.bias is not None
    last.bias.data[2] = np.nan
    with pytest.raises(ValueError, match="bias of layer 1 is not finite"):
        c.export(net, tmp_path / "net.c", image_shape=SIZE)


def test_a_sequential_of_ones_own_is_opened() -> None:
    class Block(nn.Sequential):
        """Somebody's own, without a forward of its own."""

    steps = steps_of(Block(nn.ReLU(), Block(nn.Tanh())), SIZE)
    assert [step.word for step in steps] == ["relu", "tanh"]


def test_a_kernel_that_becomes_infinite_with_its_batch_norm_is_named(tmp_path: Path) -> None:
    conv, norm = nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)
    assert norm.running_var is not None
    conv.weight.data = np.full((1, 3, 1, 1), 3e38, np.float32)
    norm.running_var.data = np.full(1, 1e-4, np.float32)
    with pytest.raises(ValueError, match=r"weight of a step is not finite: Conv2d.*, then Batch"):
        c.export(nn.Sequential(conv, norm), tmp_path / "net.c", image_shape=SIZE)


def test_the_net_stays_as_it_is(tmp_path: Path) -> None:
    net = every_layer().train()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    c.export(net, tmp_path / "net.c", image_shape=SIZE)
    assert all(module.training for module in net.modules())
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
