"""PyTorch's first example runs here as it is typed: ``mnist_example``."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import data
from tests import mnist_example

Loaders = tuple[data.DataLoader, data.DataLoader]


def clothes(train_images: int) -> Loaders:
    """The sample's first images as batches of 32, and 100 to test with."""
    train, test = data.load("fashion-mnist-sample")
    return (
        data.DataLoader(train[:train_images], batch_size=32, shuffle=True, seed=1),
        data.DataLoader(test[:100], batch_size=50),
    )


def test_the_example_trains_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.safetensors"
    options = f"--epochs 2 --lr 2 --log-interval 15 --no-cuda --save-model {path}"
    loaders = clothes(640)
    model = mnist_example.main(options.split(), *loaders)

    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"\d+\.\d+|\d+ of 100", "#", line) for line in lines] == [
        "epoch 1, 0 of 640 images: loss #",
        "epoch 1, 480 of 640 images: loss #",
        "test: mean loss #, # right",
        "epoch 2, 0 of 640 images: loss #",
        "epoch 2, 480 of 640 images: loss #",
        "test: mean loss #, # right",
    ]
    first, last = (float(re.findall(r"loss ([\d.]+)", lines[i])[0]) for i in (0, -1))
    assert first == pytest.approx(np.log(10), abs=0.15)
    assert last < 1.7
    assert int(re.findall(r"(\d+) of 100", lines[-1])[0]) > 40

    again = mnist_example.Net()
    again.load_state_dict(minicnn.load(path))
    x, _ = next(iter(loaders[1]))
    np.testing.assert_array_equal(again.eval()(x).numpy(), model.eval()(x).numpy())


def test_a_dry_run_is_one_batch(capsys: pytest.CaptureFixture[str]) -> None:
    mnist_example.main(["--epochs", "1", "--dry-run", "--no-cuda"], *clothes(96))
    assert [line[:7] for line in capsys.readouterr().out.splitlines()] == ["epoch 1", "test: m"]


@pytest.mark.parity
def test_the_same_text_computes_the_same_in_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    """In float64, without dropout, from the same weights on the same batches."""
    torch = pytest.importorskip("torch")
    weights = mnist_example.Net().to("float64").state_dict()
    options = ["--epochs", "2", "--log-interval", "1", "--no-cuda"]
    rows = []
    for program, of_array in ((mnist_example, minicnn.tensor), (in_pytorch(), torch.tensor)):
        batches = [Batches(loader, of_array) for loader in clothes(64)]
        program.main(options, *batches, prepared_with(weights, of_array))
        rows.append(capsys.readouterr().out)
    ours, theirs = ([float(n) for n in re.findall(r"[\d.]*\d", printed)] for printed in rows)
    assert len(ours) == 2 * (2 * 4 + 3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-7)
    assert re.sub(r"[\d.]+", "#", rows[0]) == re.sub(r"[\d.]+", "#", rows[1])


class Batches:
    """The first epoch of a loader in float64, as tensors that ``of_array`` makes."""

    def __init__(self, loader: data.DataLoader, of_array: Callable[..., Any]):
        self.dataset = loader.dataset
        self.batches = [
            (of_array(x.numpy().astype(np.float64)), of_array(y.numpy())) for x, y in loader
        ]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.batches)


def prepared_with(weights: dict[str, Any], of_array: Callable[..., Any]) -> Callable[[Any], None]:
    def prepare(model: Any) -> None:
        model.to(of_array(np.zeros(1)).dtype)
        model.load_state_dict({name: of_array(w.numpy()) for name, w in weights.items()})
        model.dropout1.p = model.dropout2.p = 0.0

    return prepare


def in_pytorch() -> types.ModuleType:
    """``mnist_example`` with ``torch`` for ``minicnn`` in its imports."""
    text = Path(mnist_example.__file__).read_text()
    text, count = re.subn(r"^(import|from) minicnn", r"\1 torch", text, flags=re.M)
    assert count == 5
    program = types.ModuleType("mnist_example_in_pytorch")
    exec(compile(text, "mnist_example.py", "exec"), vars(program))
    return program
