"""python -m minicnn.learn train: the learner's layers are the engine's, to rounding."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import kernels, models, nn, optim
from minicnn.learn.course import COURSE, EXERCISES
from minicnn.learn.layers import SGD, USED, as_learners, functions_of, loss_of
from minicnn.learn.options import main
from minicnn.learn.training import _compared, _is_published


@pytest.mark.parametrize("model", ["lenet", "lenet-max"])
def test_two_steps_with_the_learners_layers_are_the_engines(model: str) -> None:
    functions = functions_of(EXERCISES)
    rng = np.random.default_rng(2)
    x = minicnn.Tensor(rng.standard_normal((3, 1, 28, 28)).astype(np.float32))
    y = minicnn.Tensor(np.array([7, 0, 3]))
    minicnn.manual_seed(1)
    theirs = models.build(model)
    minicnn.manual_seed(1)
    ours = as_learners(models.build(model), functions)
    steps: list[tuple[nn.Module, optim.Optimizer]] = [
        (theirs, optim.SGD(theirs.parameters(), 0.5, momentum=0.7)),
        (ours, SGD(ours, functions, 0.5, momentum=0.7)),
    ]
    losses = []
    for net, optimizer in steps:
        loss = nn.CrossEntropyLoss() if net is theirs else loss_of(functions)
        with kernels.by_reference():  # none has to be compiled
            for _ in range(2):
                value = loss(net(x), y)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
        losses.append(value.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    start = models.build(model).state_dict()
    for name, p in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name], p, rtol=1e-4, atol=1e-5)
        assert not np.allclose(start[name], p, atol=1e-4)


def test_train_trains_says_what_was_published_and_wants_right_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("minicnn.learn.training.load_or_sample", _few)
    assert main(["start", str(tmp_path)]) == 0
    for exercise in COURSE.values():
        if exercise.name in USED:
            (tmp_path / exercise.file).write_text(exercise.answer)
    typed = ["train", "--in", str(tmp_path), "--epochs", "1"]
    assert main(typed) == 0
    said = capsys.readouterr().out
    assert "about 0 minutes for a few, epochs: 1" in said
    assert "the published 0.77 to 0.83 are of all epochs on the whole of Fashion-MNIST" in said

    file = tmp_path / COURSE[7].file
    file.write_text(COURSE[7].answer.replace("+=", "="))
    assert main(typed) == 1
    assert "exercise 7 is not right yet" in capsys.readouterr().out


def test_an_error_in_a_learners_file_is_a_line_that_names_exercise_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("minicnn.learn.training.load_or_sample", _few)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for exercise in COURSE.values():
        (tmp_path / exercise.file).write_text(exercise.answer)
    typed = ["train", "--in", str(tmp_path), "--epochs", "1"]
    (tmp_path / "neighbour_of_mine.py").write_text("limit = 2\n")
    of_bias = [
        "from neighbour_of_mine import limit",
        "if len(dy) > limit:",
        "    dy[99]",
        "return dy.sum(axis=(0, 2, 3))",
    ]
    of_step = [
        "if w.size > 1000:",
        "    raise KeyError('w')",
        "v = momentum * velocity + grad",
        "return w - lr * v, v",
    ]
    errors = {2: "IndexError: index 99 is out of bounds", 13: "KeyError: 'w'"}
    for number, lines in ((2, of_bias), (13, of_step)):
        file = tmp_path / COURSE[number].file
        text = COURSE[number].with_hole("".join(f"    {line}\n" for line in lines))
        file.write_text(text)
        at = next(k for k, s in enumerate(text.splitlines(), start=1) if s.startswith(8 * " "))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(typed)
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert f"exercise {number}: {file.name}, line {at}: {errors[number]}" in said
        assert len(said.splitlines()) == 1
        file.write_text(COURSE[number].answer)


def test_a_file_that_cannot_be_run_or_has_no_function_is_named(tmp_path: Path) -> None:
    for exercise in COURSE.values():
        (tmp_path / exercise.file).write_text(exercise.answer)
    (tmp_path / COURSE[6].file).write_text("1 / 0\n")
    with pytest.raises(ValueError, match=r"exercise 6: ex06_im2col.py, line 1: ZeroDivisionError"):
        functions_of(tmp_path)
    (tmp_path / COURSE[6].file).write_text("")
    with pytest.raises(ValueError, match=r"exercise 6: ex06_im2col.py has no function im2col"):
        functions_of(tmp_path)


def test_what_a_function_returns_in_training_is_checked(tmp_path: Path) -> None:
    for exercise in COURSE.values():
        (tmp_path / exercise.file).write_text(exercise.answer)
    (tmp_path / COURSE[10].file).write_text(
        "def dense_backward(dy, x, weight):\n    return dy, x\n"
    )
    ones = np.ones((2, 2))
    wanted = "exercise 10: ex10_dense.py, .*TypeError: it returns ndarray, ndarray; wanted 3 of"
    with pytest.raises(ValueError, match=wanted):
        functions_of(tmp_path)["dense"](ones, ones, ones)


@pytest.mark.parametrize(
    ("accuracy", "whole", "status", "said"),
    [
        (0.78, True, 0, "Test accuracy 0.780; published are 0.77 to 0.83."),
        (0.7696, True, 0, "Test accuracy 0.770; published are"),
        (0.765, True, 1, "Test accuracy 0.765, below the published 0.77 to 0.83; every exercise"),
        (0.9, False, 0, "Test accuracy 0.900; the published 0.77 to 0.83 are of all epochs on"),
        (0.1, False, 0, "Test accuracy 0.100; the published 0.77 to 0.83 are of all epochs on"),
    ],
)
def test_an_accuracy_is_compared_with_the_published_ones(
    accuracy: float, whole: bool, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _compared(accuracy, "lenet", whole, "en") == status
    assert capsys.readouterr().out.startswith(said)


def test_published_figures_are_of_all_epochs_of_fashion_mnist() -> None:
    assert _is_published("lenet", "fashion-mnist", 60_000, 10)
    assert _is_published("lenet-max", "fashion-mnist", 60_000, 5)
    assert not _is_published("lenet", "mnist", 60_000, 10)
    assert not _is_published("lenet", "fashion-mnist", 60_000, 9)
    assert not _is_published("lenet", "fashion-mnist-sample", 1_000, 100)


def _few(name: str | None) -> tuple[str, minicnn.data.Dataset, minicnn.data.Dataset]:
    """A few pictures of noise."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 28, 28), np.uint8), np.array([0, 9, 3, 3])
    few = minicnn.data.Dataset(images, labels, [str(k) for k in range(10)])
    return "a few", few, few
