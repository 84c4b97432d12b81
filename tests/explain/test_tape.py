"""The tape, drawn: what it counts, what it leaves alone, and that the picture holds it all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, models, nn, ops
from minicnn.explain.tape import Step, Tape, size_text, tape
from minicnn.nn import functional as F

SVG = "{http://www.w3.org/2000/svg}"


def steps_named(drawn: Tape, name: str) -> list[Step]:
    return [step for step in drawn.steps if step.name == name]


def lenet_loss(images: int = 4) -> tuple[nn.Module, Tensor]:
    net = models.lenet()
    x, y = minicnn.rand(images, 1, 28, 28), Tensor(np.arange(images) % 10)
    return net, nn.CrossEntropyLoss()(net(x), y)


# What it counts -----------------------------------------------------------------------------------


def test_the_tape_of_lenet_is_a_chain_of_its_operations() -> None:
    _, loss = lenet_loss()
    drawn = tape(loss)
    assert [(step.name, step.shape) for step in drawn.steps] == [
        ("x", (4, 1, 28, 28)),
        ("Conv2d", (4, 6, 28, 28)),
        ("Sigmoid", (4, 6, 28, 28)),
        ("AvgPool2d", (4, 6, 14, 14)),
        ("Conv2d", (4, 16, 10, 10)),
        ("Sigmoid", (4, 16, 10, 10)),
        ("AvgPool2d", (4, 16, 5, 5)),
        ("Reshape", (4, 400)),
        ("Linear", (4, 120)),
        ("Sigmoid", (4, 120)),
        ("Linear", (4, 84)),
        ("Sigmoid", (4, 84)),
        ("Linear", (4, 10)),
        ("SoftmaxCrossEntropy", ()),
    ]
    assert [step.inputs for step in drawn.steps] == [(), *((k,) for k in range(13))]
    assert [step.is_operation for step in drawn.steps] == [False] + [True] * 13
    conv = drawn.steps[4]
    shapes = [(a.name, a.shape) for a in conv.arguments]
    assert shapes == [("weight", (16, 6, 5, 5)), ("bias", (16,))]
    (target,) = drawn.steps[-1].arguments
    assert (target.name, target.shape, target.dtype) == ("target", (4,), "int64")
    assert target.gradient is None


def test_bytes_kept_are_counted_once_and_parameters_never() -> None:
    _, loss = lenet_loss()
    drawn = tape(loss)
    floats = {
        1: 4 * 25 * 784,  # columns of im2col: images, cells of a window, windows
        2: 4 * 6 * 784,  # the sigmoid's result
        3: 14 * 14,  # how many cells each window averages
        4: 4 * 150 * 100,
        5: 4 * 16 * 100,
        6: 5 * 5,
        7: 0,  # a reshape keeps nothing
        8: 4 * 16 * 5 * 5,  # x, which is a view of what the pooling computed: nobody else keeps it
        9: 4 * 120,
        10: 0,  # x is the sigmoid's result, the weight a parameter
        11: 4 * 84,
        12: 0,
        13: 4 * 10 + 4,  # the probabilities, and a weight for each row
    }
    assert {k: drawn.steps[k].kept_bytes for k in floats} == {k: 4 * n for k, n in floats.items()}
    assert drawn.kept_bytes == 4 * sum(floats.values())
    assert [(k.name, k.bytes) for k in drawn.steps[10].kept] == [("x", None), ("weight", None)]
    # the results of the convolutions, the first pooling and the dense layers are not read again
    unread = 4 * (6 * 784 + 6 * 196 + 16 * 100 + 120 + 84 + 10)
    assert drawn.results_bytes == 4 * unread


def test_a_maximum_keeps_who_won() -> None:
    x = Tensor(np.random.default_rng(0).random((2, 3, 8, 6), np.float32), requires_grad=True)
    drawn = tape(F.max_pool2d(x, 2).sum())
    (pool,) = steps_named(drawn, "MaxPool2d")
    assert [kept.name for kept in pool.kept] == ["winner"]
    assert pool.kept_bytes > 0
    assert steps_named(drawn, "Sum")[0].kept == ()
    assert drawn.results_bytes == 4 * 2 * 3 * 4 * 3


def test_a_view_of_a_data_set_costs_nothing() -> None:
    loader = data.DataLoader(data.load("fashion-mnist-sample")[0], 8)
    x, y = next(iter(loader))
    assert y.data.base is not None  # otherwise this tests nothing
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    drawn = tape(nn.CrossEntropyLoss()(net(x), y))
    kept = {kept.name: kept.bytes for kept in drawn.steps[-1].kept}
    assert kept["target"] is None


def test_gradient_lengths_are_those_of_backward() -> None:
    net, loss = lenet_loss()
    lengths = {
        (step.name, a.name, a.shape): a.gradient
        for step in tape(loss).steps
        for a in step.arguments
        if a.gradient is not None
    }
    loss.backward()
    gradients = [p.grad for p in net.parameters()]
    expected = [float(np.linalg.norm(g.numpy())) for g in gradients if g is not None]
    assert len(expected) == 10
    assert list(lengths.values()) == pytest.approx(expected, rel=1e-5)


def test_gradients_by_results_in_numbers() -> None:
    a = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    drawn = tape((a * 2.0).sum())
    by = {step.name: step.gradient for step in drawn.steps}
    assert by["a"] == pytest.approx(np.sqrt(8))
    assert by["Multiply"] == pytest.approx(np.sqrt(2))
    assert by["Sum"] == 1


def test_a_gradient_may_be_given_for_a_tensor_that_is_no_scalar() -> None:
    a = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    y = a * 2.0
    assert all(step.gradient is None for step in tape(y).steps)
    drawn = tape(y, gradient=np.array([0.0, 5.0]))
    assert [step.gradient for step in drawn.steps] == [10, 5]
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\)"):
        tape(y, gradient=np.ones(3))


# What it leaves alone -----------------------------------------------------------------------------


def test_the_tape_and_the_gradients_are_as_before() -> None:
    net, loss = lenet_loss()
    first = next(net.parameters())
    first.grad = Tensor(np.full(first.shape, 7, np.float32))
    before = first.grad
    tape(loss)
    assert first.grad is before
    assert [p.grad for p in net.parameters()][1:] == [None] * 9
    assert loss.grad is None
    loss.backward()  # the tape is still there
    assert loss.grad is None
    assert float(first.grad.numpy().max()) != 7
    np.testing.assert_array_equal(before.numpy(), 7)


def test_gradients_are_as_before_also_after_a_failure() -> None:
    a = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    a.grad = Tensor(np.ones(2))
    y = a * 2.0
    with pytest.raises(ValueError, match="gradient has shape"):
        tape(y, gradient=np.ones(3))
    assert a.grad is not None
    y.sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), 3)
    assert y.grad is None


def test_it_draws_after_a_backward_that_kept_the_tape() -> None:
    _, loss = lenet_loss()
    fresh = tape(loss)
    loss.backward(retain_graph=True)
    assert str(tape(loss)) == str(fresh)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda: 3.0, TypeError, "tensor is a float; wanted a Tensor"),
        (lambda: Tensor(1.0), RuntimeError, "nothing recorded leads to this tensor"),
        (lambda: Tensor(1.0, requires_grad=True), RuntimeError, "nothing recorded"),
        (
            lambda: _freed(),
            RuntimeError,
            r"tape: .*freed by an earlier backward.*retain_graph=True",
        ),
        (lambda: _freed() * 2.0, RuntimeError, r"tape: .*freed by an earlier backward"),
    ],
)
def test_what_has_no_tape_is_refused(
    make: Callable[[], Any], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        tape(make())


def _freed() -> Tensor:
    y = Tensor(2.0, requires_grad=True) * 3.0
    y.backward()
    return y


# Joins --------------------------------------------------------------------------------------------


def residual() -> Tensor:
    x = Tensor(np.ones((2, 3, 8, 7), np.float32), requires_grad=True)
    w = nn.Parameter(np.ones((3, 3, 3, 3), np.float32) / 27)
    y = F.conv2d(F.conv2d(x, w, padding=1).relu(), w, padding=1)
    return (y + x).relu().sum()


def test_a_join_names_all_its_inputs() -> None:
    drawn = tape(residual())
    names = [step.name for step in drawn.steps]
    assert names == ["x", "Conv2d", "ReLU", "Conv2d", "Add", "ReLU", "Sum"]
    assert drawn.steps[4].inputs == (3, 0)
    assert "Add of 3, 0" in str(drawn)


def test_a_shared_weight_says_so_where_it_is_used() -> None:
    drawn = tape(residual())
    assert [a.uses for step in drawn.steps for a in step.arguments] == [2, 2]
    assert str(drawn).count("(3, 3, 3, 3), 2 uses") == 2
    first, second = (a.gradient for step in drawn.steps for a in step.arguments)
    assert first == second  # one weight, one gradient: the sum of both uses'


def test_a_tensor_that_meets_itself_is_one_input() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    drawn = tape((x * x + x).sum())
    assert [step.inputs for step in drawn.steps] == [(), (0,), (1, 0), (2,)]
    assert drawn.steps[0].gradient == pytest.approx(np.hypot(3, 5))


def grouped() -> Tensor:
    x = Tensor(np.ones((2, 4, 5, 6), np.float32), requires_grad=True)
    w = nn.Parameter(np.ones((2, 2, 3, 3), np.float32))
    return F.conv2d(x, w, groups=2).sum()


def test_parts_of_a_concatenation_are_steps() -> None:
    drawn = tape(grouped())
    (join,) = steps_named(drawn, "Concatenate")
    assert [drawn.steps[i].name for i in join.inputs] == ["Conv2d", "Conv2d"]


# Text and picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (19_266, "19.3 kB"), (4_816_896, "4.82 MB")],
)
def test_sizes_as_a_person_reads_them(count: int, text: str) -> None:
    assert size_text(count) == text


def test_it_prints_as_a_table() -> None:
    a = Tensor(np.array([[3.0, 4.0, 0.0]]), requires_grad=True)
    w = Tensor(np.array([[1.0, 1.0, 2.0]]), requires_grad=True)
    text = str(tape(F.linear(a, w).sum()))
    lines = [re.sub(" +", " ", line).strip() for line in text.splitlines()]
    assert lines == [
        "operation shape kept for backward |gradient|",
        "0 x (1, 3) float64 2.45",
        "1 Linear (1, 1) float64 x, weight 1",
        "weight (1, 3) float64 5",
        "2 Sum () float64 nothing 1",
        "2 operations, 0 B kept for backward",
        "8 B of results that no backward reads",
        "without bytes: input, parameter, counted above",
    ]
    assert not any(line != line.rstrip() for line in text.splitlines())


def picture(drawn: Tape) -> ElementTree.Element:
    return ElementTree.fromstring(drawn.svg())


def boxes(svg: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """(left, top, right, bottom) of every box."""
    found = []
    for rect in svg.iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
        found.append((x, y, x + width, y + height))
    return found


def texts(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_the_picture_says_what_the_table_says() -> None:
    _, loss = lenet_loss()
    drawn = tape(loss)
    written = texts(picture(drawn))
    for step in drawn.steps:
        assert step.name in written
        assert any(str(step.shape) in text for text in written)
        for argument in step.arguments:
            assert any(text.startswith(f"{argument.name} {argument.shape}") for text in written)
            if argument.gradient is not None:
                assert f"|d{argument.name}| {argument.gradient:.3g}" in written
        if step.is_operation:
            assert f"|dy| {step.gradient:.3g}" in written
    assert "keeps columns 314 kB, weight" in written
    assert written[-3:] == drawn.notes()


@pytest.mark.parametrize("make", [lambda: lenet_loss()[1], residual, grouped])
def test_boxes_stand_apart_and_inside_the_picture(make: Callable[[], Tensor]) -> None:
    svg = picture(tape(make()))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    found = boxes(svg)
    for k, (left, top, right, bottom) in enumerate(found):
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        for other in found[:k]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart, (k, found)


def test_a_chain_stands_in_one_column_from_top_to_bottom() -> None:
    found = boxes(picture(tape(lenet_loss()[1])))
    middles = {round((left + right) / 2) for left, _, right, _ in found}
    assert len(middles) == 1
    assert [top for _, top, _, _ in found] == sorted(top for _, top, _, _ in found)


def test_texts_fit_their_boxes_and_leave_each_other_room() -> None:
    drawn = tape(residual())
    letter = 0.602 * 12  # the width of one in DejaVu Sans Mono
    left = right = end = 0.0
    for element in picture(drawn):
        if element.tag == f"{SVG}rect":
            left = float(element.attrib["x"])
            right = left + float(element.attrib["width"])
        elif element.tag == f"{SVG}text" and element.text not in drawn.notes():
            x, length = float(element.attrib["x"]), len(element.text or "") * letter
            if element.attrib["text-anchor"] == "start":
                assert x >= left
                end = x + length
                assert end <= right
            else:
                assert x - length >= end + letter
                assert x <= right


def test_lines_pass_boxes_that_they_do_not_belong_to() -> None:
    """The line from x to Add runs past the convolutions, never through one."""
    svg = picture(tape(residual()))
    found = boxes(svg)
    passing = 0
    for line in svg.iter(f"{SVG}path"):
        path = line.attrib["d"]
        lane = re.search(r"([\d.]+) ([\d.]+)V([\d.]+)$", path)
        if lane:
            passing += 1
            x, top, bottom = map(float, lane.groups())
            for left, box_top, right, box_bottom in found:
                assert not (left <= x <= right and box_top < bottom and box_bottom > top)
    assert passing == 3


def test_every_line_ends_in_an_arrow_at_the_top_of_a_box() -> None:
    drawn = tape(residual())
    svg = picture(drawn)
    arrows = [p.attrib["d"] for p in svg.iter(f"{SVG}path") if p.attrib["d"].endswith("z")]
    assert len(arrows) == sum(len(step.inputs) for step in drawn.steps)
    tops = {round(top) for _, top, _, _ in boxes(svg)}
    for arrow in arrows:
        y, length = re.findall(r" ([\d.]+)h8l-4 ([\d.]+)z", arrow)[0]
        assert any(abs(float(y) + float(length) - top) <= 1 for top in tops)


def test_colours_are_the_pages_own() -> None:
    drawn = tape(residual())
    for text in (drawn._repr_html_(), drawn.svg()):
        assert "currentColor" in text
        assert not re.search(r"#[0-9a-fA-F]{3}|black|white|rgb", text)
    assert "<style>" not in drawn._repr_html_()  # in a page, the page decides
    assert "color-scheme:light dark" in drawn.svg()  # a file alone follows its reader's setting


def test_it_shows_itself_and_saves_itself(tmp_path: Path) -> None:
    drawn = tape(residual())
    assert drawn._repr_svg_() == drawn.svg()
    ElementTree.fromstring(drawn._repr_html_())
    drawn.save(tmp_path / "tape.svg")
    assert (tmp_path / "tape.svg").read_text() == drawn.svg()
    label = picture(drawn).attrib["aria-label"]
    assert label.startswith("The tape: x, Conv2d, ReLU, Conv2d, Add, ReLU, Sum.")


def test_names_are_escaped() -> None:
    class LessThan(ops.Negate):
        name = 'a < "b" & c'

    x = Tensor(np.ones(2), requires_grad=True)
    svg = picture(tape(minicnn.apply(LessThan(), x)))
    assert 'a < "b" & c' in texts(svg)


def test_a_long_tape_is_drawn_too() -> None:
    x = Tensor(np.ones(2), requires_grad=True)
    y = x
    for _ in range(600):
        y = y * 0.999 + x
    drawn = tape(y.sum())
    assert len(drawn.steps) == 1202
    assert len(boxes(picture(drawn))) == 1202
