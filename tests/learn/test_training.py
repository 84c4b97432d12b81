"""python -m minicnn.learn train: the learner's layers are the engine's, to rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import kernels, models, nn, optim
from minicnn.learn.course import COURSE, EXERCISES
from minicnn.learn.layers import SGD, USED, as_learners, functions_of, loss_of
from minicnn.learn.options import main


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


def _few(name: str | None) -> tuple[str, minicnn.data.Dataset, minicnn.data.Dataset]:
    """A few pictures of noise."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (4, 28, 28), np.uint8), np.array([0, 9, 3, 3])
    few = minicnn.data.Dataset(images, labels, [str(k) for k in range(10)])
    return "a few", few, few
