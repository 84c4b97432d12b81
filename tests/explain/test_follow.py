"""A number followed through a net, in Python: sums, paths, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, explain, models, nn
from minicnn.explain.__main__ import main
from minicnn.explain.follow import states as rows
from minicnn.explain.follow.page import page_of
from minicnn.explain.follow.states import State, entries, how_many_fit, spread
from minicnn.explain.page.grid import TooLargeError
from minicnn.nn import functional as F
from minicnn.train.callbacks import Training
from minicnn.train.kept import KeptStates
from minicnn.train.measure import History
from minicnn.train.run import Run
from tests.explain.examples import data_of
from tests.explain.following import Definition, applied, followed_small, small, walks
from tests.explain.test_command import error_of


@pytest.fixture(scope="module")
def followed() -> explain.Followed:
    return followed_small()


def test_every_cell_is_what_its_terms_give(followed: explain.Followed) -> None:
    for array, values in followed.arrays.items():
        function = followed.function(array)
        assert (function == "given") == (array.rpartition(".")[2] in ("x", "W", "b", "t"))
        for at in np.ndindex(values.shape):
            terms = followed.terms(array, *at)
            if function != "given":
                found = applied(function, [float(term) for term in terms], at)
                assert found == pytest.approx(values[at], rel=1e-9, abs=1e-12), (array, at)
            else:
                assert terms == []


def test_the_terms_are_those_of_the_definition(
    followed: explain.Followed, rng: np.random.Generator
) -> None:
    definition = Definition(followed)
    for array, values in followed.arrays.items():
        places = [at for at in np.ndindex(values.shape) if followed.function(array) != "given"]
        for k in rng.permutation(len(places))[:6]:
            ours = [
                sorted(f.grid + str(f.index) for f in (t.left, t.right) if f.grid in definition.a)
                for t in followed.terms(array, *places[k])
            ]
            theirs = [
                sorted(name + str(at) for name, at in cells)
                for _, cells in definition.terms(array, places[k])
            ]
            assert sorted(ours) == sorted(theirs), (array, places[k])


def test_the_numbers_are_the_engines() -> None:
    net, x, y = small()
    followed = explain.follow(net, x, y)
    net.eval().to("float64")
    picture = Tensor(x[None], requires_grad=True)
    loss = F.cross_entropy(net(picture), Tensor([y], dtype="int64"))
    loss.backward()
    assert followed.value("L") == pytest.approx(loss.item(), rel=1e-14)
    np.testing.assert_allclose(followed.arrays["dx"], picture.grad.numpy()[0], rtol=1e-12)  # type: ignore[union-attr]
    for layer in followed.layers:
        for name, parameter in layer.parameters.items():
            owner, _, role = name.rpartition(".")
            theirs = dict(net.named_parameters())[parameter].grad.numpy()  # type: ignore[union-attr]
            np.testing.assert_allclose(followed.arrays[f"{owner}.d{role}"], theirs, rtol=1e-12)


def test_following_changes_nothing() -> None:
    net, x, y = small()
    before = {name: p.numpy().copy() for name, p in net.named_parameters()}
    kept = x.copy()
    explain.follow(net, x, y)
    assert net.training
    assert all(p.grad is None and p.dtype == np.float32 for p in net.parameters())
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name])
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("cell", [("conv1.dW", 1, 0, 2, 1), ("conv1.db", 2), ("dense1.dW", 2, 4)])
def test_the_paths_are_all_walks_to_the_end(
    cell: tuple[Any, ...], followed: explain.Followed
) -> None:
    array, *at = cell
    found = followed.paths(array, *at, largest=7)
    every = sorted(walks(Definition(followed), array, tuple(at)), key=lambda walk: -abs(walk[0]))
    assert found.number == len(every) > 3
    assert len(found.largest) == min(7, len(every))
    for path, (product, cells) in zip(found.largest, every, strict=False):
        assert path.product == pytest.approx(product, rel=1e-5)
        assert list(path.cells) == cells
    assert sum(product for product, _ in every) == pytest.approx(
        followed.value(array, *at), rel=1e-4
    )


def test_a_pixel_that_lost_every_window_has_no_path(followed: explain.Followed) -> None:
    array, at = "dx", (1, 4, 6)
    assert followed.terms(array, *at)
    assert followed.paths(array, *at) == (0, [])
    assert followed.value(array, *at) == 0


def test_paths_of_what_is_no_gradient_are_refused(followed: explain.Followed) -> None:
    with pytest.raises(
        ValueError, match=r"conv1\.W is no gradient; wanted one, as conv1\.dW or dx"
    ):
        followed.paths("conv1.W", 0, 0, 0, 0)


def test_cells_that_are_not_there_are_refused(followed: explain.Followed) -> None:
    with pytest.raises(KeyError, match=r"there is no array conv3\.W; wanted one of x, conv1\.W"):
        followed.terms("conv3.W", 0)
    for at in ((0, 0, 0), (0, 0, 0, 2), (0, 0, -1, 0)):
        with pytest.raises(
            IndexError, match=r"conv1\.W: index is .*; wanted one below \(3, 2, 3, 2\)"
        ):
            followed.value("conv1.W", *at)


@pytest.mark.parametrize(
    ("net", "x", "y", "message"),
    [
        (nn.Linear(3, 2), np.ones((1, 3, 1)), 0, "net is Linear; wanted an nn.Sequential"),
        (nn.Sequential(nn.BatchNorm2d(1)), np.ones((1, 3, 3)), 0, "net[0] is BatchNorm2d"),
        (
            nn.Sequential(nn.Sequential(nn.Softmax(1))),
            np.ones((1, 3, 3)),
            0,
            "net[0][0] is Softmax",
        ),
        (models.lenet(), np.ones((2, 1, 28, 28)), 0, "x has shape (2, 1, 28, 28); wanted one"),
        (models.lenet(), np.ones((1, 28, 28)), 10, "y is 10; wanted 0..9"),
        (models.lenet(), np.full((1, 28, 28), np.nan), 1, "x holds nan or inf"),
        (nn.Sequential(nn.Conv2d(1, 2, 2)), np.ones((1, 3, 3)), 0, "wanted logits (1, C)"),
        (nn.Sequential(nn.Linear(3, 2)), np.ones((1, 3, 3)), 0, "wanted an nn.Flatten before it"),
        (
            nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten()),
            np.ones((2, 1, 2)),
            0,
            "groups",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused(net: Any, x: Any, y: int, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        explain.follow(net, x, y)


def test_a_layer_without_weights_may_stand_in_several_places() -> None:
    """As if each place had a layer of its own."""
    minicnn.manual_seed(5)
    first, second = nn.Conv2d(1, 2, (2, 3)), nn.Conv2d(2, 2, 1)
    ends = nn.Flatten(), nn.Linear(8, 3)
    relu, pool = nn.ReLU(), nn.MaxPool2d((2, 1), stride=1)
    shared = nn.Sequential(first, relu, pool, second, relu, pool, *ends)
    pools = [nn.MaxPool2d((2, 1), stride=1) for _ in range(2)]
    apart = nn.Sequential(first, nn.ReLU(), pools[0], second, nn.ReLU(), pools[1], *ends)
    x = np.random.default_rng(5).standard_normal((1, 5, 4))
    ours, theirs = (explain.follow(net, x, 2) for net in (shared, apart))
    for name in ("arrays", "kept"):
        found, wanted = getattr(ours, name), getattr(theirs, name)
        assert list(found) == list(wanted)
        for key, array in wanted.items():
            np.testing.assert_array_equal(found[key], array)
    assert ours.terms("pool1.dy", 1, 2, 0) == theirs.terms("pool1.dy", 1, 2, 0) != []


def test_shared_parameters_are_refused_by_name() -> None:
    x, dense, other = np.ones((1, 2, 2)), nn.Linear(4, 4), nn.Linear(4, 4)
    twice = nn.Sequential(nn.Flatten(), dense, nn.Sequential(nn.ReLU(), dense))
    wanted = r"net\[2\]\[1\]\.weight is net\[1\]\.weight, too; wanted layers that share no"
    with pytest.raises(ValueError, match=wanted):
        explain.follow(twice, x, 1)
    other.bias = dense.bias
    tied = nn.Sequential(nn.Flatten(), dense, other)
    with pytest.raises(ValueError, match=r"net\[2\]\.bias is net\[1\]\.bias, too"):
        explain.follow(tied, x, 1)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "0.weight"), (-np.inf, "6.bias")])
def test_parameters_that_are_not_finite_are_refused(value: float, name: str) -> None:
    net, x, y = small()
    dict(net.named_parameters())[name].data[0] = value
    with pytest.raises(ValueError, match=f"follow: {name} holds nan or inf; wanted finite"):
        explain.follow(net, x, y)


def test_it_shows_itself(followed: explain.Followed) -> None:
    assert "conv1.dW" in str(followed)
    assert repr(followed).startswith("<followed: conv1, tanh1, pool1, conv2")
    assert followed._repr_html_().startswith("<iframe")


# The page's rows ----------------------------------------------------------------------------------


def test_a_row_has_every_array_in_float32(followed: explain.Followed) -> None:
    layout = entries(followed, updates=False, momentum=False)
    row = np.frombuffer(base64.b64decode(rows.row(State(followed), layout)), "<f4")
    for (source, name), entry in layout.items():
        values = getattr(followed, source)[name]
        found = row[entry.offset : entry.offset + entry.size].reshape(values.shape)
        np.testing.assert_array_equal(found, values.astype(np.float32))
    left_out = set(followed.arrays) - {name for _, name in layout}
    assert left_out == {"dense1.dW", "dense2.dW"}
    assert len(row) == sum(entry.size for entry in layout.values())


def test_as_many_states_are_shown_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread([*range(10)], 4) == [0, 3, 6, 9]
    assert spread([*range(3)], 4) == [0, 1, 2]
    assert spread([*range(3)], 1) == [2]
    layout = entries(followed_small(), updates=True, momentum=True)
    cells = sum(entry.size for entry in layout.values())
    monkeypatch.setattr(rows, "MOST_BYTES", 17 * cells)
    assert how_many_fit(layout) == 3
    monkeypatch.setattr(rows, "MOST_BYTES", 5 * cells)
    with pytest.raises(TooLargeError, match=r"the net has .* cells and gradients, too many"):
        how_many_fit(layout)


def test_a_page_refuses_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    followed = followed_small()
    cells = sum(entry.size for entry in entries(followed, False, False).values())
    monkeypatch.setattr(rows, "MOST_BYTES", 5 * cells)
    with pytest.raises(TooLargeError, match=r"the net has .* cells and gradients, too many"):
        followed.html()
    monkeypatch.setattr(rows, "MOST_BYTES", 11 * cells)  # 16 for three states
    with pytest.raises(TooLargeError, match=r"3 states are too many for a page, which holds 2"):
        page_of([State(followed)] * 3)
    assert page_of([State(followed)] * 2).count('<script class="state"') == 2


# The command --------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run that has kept its first state."""
    config = {"model": "lenet", "model_args": {}, "dataset": "fashion-mnist-sample"}
    net = models.lenet()
    folder = Run(tmp_path / "run", config, net).folder
    KeptStates(folder / "states", 5, Training(net, None, None, None, None, History(), 1))  # type: ignore[arg-type]
    return folder


def test_a_run_whose_net_cannot_be_followed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {
        "model": "lenet",
        "model_args": {"batch_norm": True},
        "dataset": "fashion-mnist-sample",
    }
    folder = Run(tmp_path / "run", config, models.lenet(batch_norm=True)).folder
    said = error_of(capsys, "--run", str(folder), "--follow", "--no-open")
    assert f"--run is {folder}, whose net[1] is BatchNorm2d; wanted one of Conv2d, Linear" in said


def test_the_command_writes_a_page(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    argv = ["--run", str(run_folder), "--follow", "--image", "3", "--no-open", "--out", str(out)]
    assert main(argv) == 0
    page = out.read_text()
    held = data_of(page)
    assert held["states"] == [{"update": 0}]
    assert held["classes"][held["label"]] in page
    assert page.count('<script class="state"') == 1
    assert "http://" not in re.sub(r'"http://www.w3.org/\w+/svg"', "", page)
    words = re.search(r'<script id="words" type="application/json">(.*?)</script>', page)
    assert set(json.loads(words[1])) == {"en", "zh", "ja"}  # type: ignore[index]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--follow", "--follow needs --run DIR"),
        ("--follow --run RUN --layer 0", "--layer does not apply to --follow"),
        ("--follow --run RUN --stride 2", "--stride does not apply to --follow"),
        ("--follow --run RUN --op dense", "--op does not apply to --follow"),
        ("--follow --run RUN --text", "--text does not apply to --follow"),
        ("--follow --run RUN --image 1000", "--image is 1000; wanted one of 0..999"),
        ("--follow --run nowhere", "there is no folder nowhere"),
    ],
)
def test_the_command_refuses(
    argv: str, message: str, run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = argv.replace("RUN", str(run_folder))
    assert message in error_of(capsys, *argv.split(), "--no-open")
