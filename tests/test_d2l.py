"""The helper names of the book: each does what its name promises there."""

from __future__ import annotations

import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import Tensor, d2l, data, models, nn, optim
from minicnn.d2l.batches import resampling_matrix
from minicnn.d2l.names import INSTEAD, SAME

SAMPLE = "fashion-mnist-sample"


@pytest.fixture
def few() -> data.Dataset:
    return data.load(SAMPLE)[0][:300]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend to run in a notebook; lists what is displayed or updated there."""
    events: list[str] = []

    class Handle:
        def update(self, picture: Any) -> None:
            events.append("update")

    def display(picture: Any, display_id: bool) -> Handle:
        assert picture.png.startswith(b"\x89PNG")
        events.append("display")
        return Handle()

    class Picture:
        def __init__(self, png: bytes, retina: bool):
            self.png = png

    fake = types.ModuleType("IPython.display")
    fake.Image, fake.display = Picture, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    for module in (d2l.curves, d2l.pictures, d2l.training):
        monkeypatch.setattr(module, "in_notebook", lambda: True)
    return events


# Data ---------------------------------------------------------------------------------------------


def test_batches_of_fashion_mnist_train_in_a_new_order_each_epoch_and_test_in_order() -> None:
    train, test = data.load(SAMPLE)
    train_iter, test_iter = d2l.load_data_fashion_mnist(256, dataset=SAMPLE)
    assert (len(train_iter), len(test_iter)) == (24, 4)
    first, second = ([y.numpy() for _, y in train_iter] for _ in range(2))
    assert not np.array_equal(first[0], second[0])
    assert sorted(np.concatenate(first)) == sorted(train.labels)
    x, y = next(iter(test_iter))
    np.testing.assert_array_equal(x.numpy(), test.images[:256, None] / np.float32(255))
    np.testing.assert_array_equal(y.numpy(), test.labels[:256])


@pytest.mark.parametrize("resize", [96, (40, 17), (14, 56), 28, 1])
def test_resized_pictures_are_pillows(resize: int | tuple[int, int]) -> None:
    train_iter, test_iter = d2l.load_data_fashion_mnist(30, resize, dataset=SAMPLE)
    height, width = (resize, resize) if isinstance(resize, int) else resize
    x, y = next(iter(test_iter))
    assert x.shape == (30, 1, height, width)
    assert x.dtype == np.float32
    assert next(iter(train_iter))[0].shape == x.shape
    test = data.load(SAMPLE)[1]
    np.testing.assert_array_equal(y.numpy(), test.labels[:30])
    for picture, original in zip(x.numpy(), test.images, strict=False):
        there = Image.fromarray(original).resize((width, height), Image.Resampling.BILINEAR)
        # Pillow rounds to whole grey values twice, after the rows and after the columns
        assert np.abs(picture[0] * 255 - np.asarray(there, np.float32)).max() < 1.01


def test_a_resampling_matrix_in_numbers() -> None:
    doubled = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(resampling_matrix(2, 4), doubled)
    np.testing.assert_allclose(  # halved: the weights reach over two cells to each side
        resampling_matrix(4, 2), np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7, rtol=1e-6
    )


@pytest.mark.parametrize(
    "resize", [np.int64(9), 9.0, np.float32(9), [9, 9], np.array([9, 9]), (np.int8(9), 9.0)]
)
def test_a_size_is_any_whole_number(resize: Any) -> None:
    _, test_iter = d2l.load_data_fashion_mnist(30, resize, dataset=SAMPLE)
    assert next(iter(test_iter))[0].shape == (30, 1, 9, 9)


@pytest.mark.parametrize(
    "resize", [0, (28, 0), (28,), (1, 2, 3), 9.5, np.nan, np.inf, "28", (28, None), True]
)
def test_a_size_that_is_none_is_refused(resize: Any) -> None:
    with pytest.raises(ValueError, match=r"resize is .*wanted a number of at least 1, or two"):
        d2l.load_data_fashion_mnist(8, resize, dataset=SAMPLE)


def test_without_the_whole_set_the_sample_stands_in_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name == "fashion-mnist":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(data, "load", offline)
    train_iter, _ = d2l.load_data_fashion_mnist(1000)
    assert len(train_iter) == 6
    printed = capsys.readouterr().out
    assert "NOT the published one" in printed
    assert "no network" in printed
    with pytest.raises(data.DatasetNotFoundError):  # asked for by name, nothing stands in
        d2l.load_data_fashion_mnist(1000, dataset="fashion-mnist")
    d2l.load_data_fashion_mnist(1000, dataset=SAMPLE)
    assert capsys.readouterr().out == ""


def test_the_folder_is_the_one_given(tmp_path: Path) -> None:
    with pytest.raises(data.DatasetError, match=r"with the four files of fashion-mnist"):
        d2l.load_data_fashion_mnist(8, root=tmp_path)


def test_classes_are_named_as_in_the_book() -> None:
    names = d2l.get_fashion_mnist_labels(Tensor(np.array([0, 1, 9])))
    assert names == ["t-shirt", "trouser", "ankle boot"]


def test_pictures_in_a_grid(few: data.Dataset) -> None:
    x, y = next(iter(data.DataLoader(few, 5)))
    axes = d2l.show_images(x, 2, 3, titles=d2l.get_fashion_mnist_labels(y), scale=2)
    assert len(axes) == 6
    for k in range(5):
        np.testing.assert_array_equal(axes[k].images[0].get_array(), x.numpy()[k, 0])
        assert axes[k].get_title() == few.classes[few.labels[k]].lower().removesuffix("/top")
    assert not axes[5].images
    assert tuple(axes[0].figure.get_size_inches()) == (6, 4)
    assert len(d2l.show_images(x.reshape(5, 28, 28), 1, 5)) == 5


def test_pictures_or_titles_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="imgs has 7 pictures; wanted at most the 2 x 3 places"):
        d2l.show_images(np.zeros((7, 4, 4)), 2, 3)
    with pytest.raises(ValueError, match="titles has 1 lines; wanted 2"):
        d2l.show_images(np.zeros((2, 4, 4)), 1, 2, titles=["a"])


@pytest.mark.parametrize("labels", [[3, 10], [-1]])
def test_a_label_of_no_class_is_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"labels are {labels[0]}\.\.{labels[-1]}; wanted 0\.\.9"):
        d2l.get_fashion_mnist_labels(labels)


def test_pictures_in_colours_are_shown_in_colours(rng: np.random.Generator) -> None:
    colours = rng.random((2, 5, 7, 3))
    for imgs in (colours, colours.transpose(0, 3, 1, 2), Tensor(colours.transpose(0, 3, 1, 2))):
        axes = d2l.show_images(imgs, 1, 2)
        np.testing.assert_array_equal(axes[1].images[0].get_array(), colours[1])
    grey = d2l.show_images(colours[..., :1], 1, 2)
    np.testing.assert_array_equal(grey[1].images[0].get_array(), colours[1, :, :, 0])
    with pytest.raises(ValueError, match=r"a picture of shape \(7,\); wanted \(H, W\) or"):
        d2l.show_images(np.zeros((5, 7)), 1, 5)


def test_a_notebook_shows_the_pictures(shown: list[str]) -> None:
    d2l.show_images(np.zeros((2, 4, 4)), 1, 2)
    assert shown == ["display"]


# Counting and timing ------------------------------------------------------------------------------


def test_an_accumulator_sums() -> None:
    metric = d2l.Accumulator(3)
    metric.add(1, 2.5, Tensor(3))
    metric.add(10, 0, Tensor(np.array(30)))
    assert metric.data == [metric[0], metric[1], metric[2]] == [11, 2.5, 33]
    metric.reset()
    assert metric.data == [0, 0, 0]
    with pytest.raises(ValueError, match="received 2 amounts; wanted 3"):
        metric.add(1, 2)


def test_a_timer_counts_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timer = d2l.Timer()
    assert timer.stop() == 2
    timer.start()
    assert timer.stop() == 3
    assert timer.times == [2, 3]
    assert (timer.sum(), timer.avg(), timer.cumsum()) == (5, 2.5, [2, 5])


def test_accuracy_counts_what_is_right() -> None:
    y = Tensor(np.array([2, 0, 1]))
    scores = Tensor([[0.1, 0.3, 0.6], [0.5, 0.2, 0.3], [0.9, 0.0, 0.1]])
    assert d2l.accuracy(scores, y) == 2
    assert d2l.accuracy(scores.numpy(), y.numpy()) == 2
    assert d2l.accuracy(Tensor(np.array([2, 1, 1])), y) == 2


def test_the_share_of_what_is_right(few: data.Dataset) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(784, 10))
    loader = data.DataLoader(few, 77)
    share = minicnn.evaluate(net, loader)
    assert 0 < share < 1
    assert d2l.evaluate_accuracy(net, loader) == share
    assert d2l.evaluate_accuracy(loader, net, "cpu") == share  # the first edition's order
    assert d2l.evaluate_accuracy_gpu(net, loader) == share
    assert net.training
    assert d2l.evaluate_accuracy(lambda x: net.eval()(x), loader) == share
    with pytest.raises(ValueError, match="data_iter has no examples"):
        d2l.evaluate_accuracy(net, [])


def test_the_share_as_the_second_edition_counts_it(few: data.Dataset) -> None:
    net, loader = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), data.DataLoader(few, 77)
    metric = d2l.Accumulator(2)
    for X, y in loader:
        metric.add(d2l.accuracy(net(X), y), d2l.size(y))
    assert metric[1] == 300
    assert metric[0] / metric[1] == d2l.evaluate_accuracy(net, loader)


def test_size_counts_cells() -> None:
    sizes = [d2l.size(a) for a in (minicnn.zeros(2, 3, 4), np.ones((5, 2)), [[1, 2, 3]], 1.0)]
    assert sizes == [24, 10, 3, 1]
    assert {type(size) for size in sizes} == {int}


def test_evaluating_records_nothing(few: data.Dataset) -> None:
    w = Tensor(np.zeros((784, 10), np.float32), requires_grad=True)
    seen: list[Tensor] = []

    def net(x: Tensor) -> Tensor:
        seen.append(x.reshape(-1, 784) @ w)
        return seen[-1]

    assert d2l.evaluate_accuracy(net, data.DataLoader(few, 300)) == (few.labels == 0).mean()
    assert [y.requires_grad for y in seen] == [False]


# Curves -------------------------------------------------------------------------------------------


def animator() -> d2l.Animator:
    curves = d2l.Animator("epoch", legend=["train loss", "train acc", "test acc"], xlim=[1, 2])
    curves.add(0.5, (2.25, 0.1, None))
    curves.add(1, (2.0, 0.25, None))
    curves.add(1, (None, None, 0.2))
    return curves


def test_an_animator_collects_points() -> None:
    curves = animator()
    assert curves.X == [[0.5, 1], [0.5, 1], [1]]
    assert curves.Y == [[2.25, 2], [0.1, 0.25], [0.2]]
    curves.add([1, 2, 3], [Tensor(4.0), np.float32(5), 6])
    assert [x[-1] for x in curves.X] == [1, 2, 3]
    assert [y[-1] for y in curves.Y] == [4, 5, 6]
    one = d2l.Animator()
    one.add(3, 4)
    one.add(Tensor(4.0), Tensor(5.0))
    assert (one.X, one.Y) == ([[3, 4]], [[4, 5]])
    with pytest.raises(ValueError, match="x has 2 numbers; wanted 3"):
        one.add([1, 2], [1, 2, 3])


def test_an_animator_prints_a_table() -> None:
    lines = str(animator()).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["0.5", "2.25", "0.1"],
        ["1", "2", "0.25", "0.2"],
    ]
    assert re.split("  +", lines[0].strip()) == ["epoch", "train loss", "train acc", "test acc"]
    ends = [lines[0].index(name) + len(name) for name in ("train loss", "train acc", "test acc")]
    assert [lines[2][:end].endswith(n) for end, n in zip(ends, ("2", "0.25", "0.2"), strict=True)]


def test_an_animators_figure_has_the_curves_names_and_limits(tmp_path: Path) -> None:
    curves = animator()
    (axes,) = curves.figure().axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [[0.5, 2.25], [1, 2]],
        [[0.5, 0.1], [1, 0.25]],
        [[1, 0.2]],
    ]
    assert axes.get_xlabel() == "epoch"
    assert axes.get_xlim() == (1, 2)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["train loss", "train acc", "test acc"]
    curves.save(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_an_animators_scales_and_formats() -> None:
    curves = d2l.Animator(yscale="log", fmts=("-", "m--"))
    curves.add(1, (1, 10))
    curves.add(2, (2, 20))
    (axes,) = curves.figure().axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    assert axes.lines[1].get_color() == "m"


def test_a_notebook_draws_the_curves_in_one_place(shown: list[str]) -> None:
    animator()
    assert shown == ["display", "update", "update"]


# Training -----------------------------------------------------------------------------------------


def test_sgd_steps_by_the_mean_and_forgets_the_gradient() -> None:
    p = nn.Parameter(np.array([1.0, 2.0]))
    (p * Tensor(np.array([8.0, -4.0]))).sum().backward()
    d2l.sgd([p], lr=0.5, batch_size=4)
    np.testing.assert_allclose(p.numpy(), [1 - 0.5 * 8 / 4, 2 + 0.5 * 4 / 4])
    assert p.grad is None


def twins() -> tuple[nn.Sequential, nn.Sequential]:
    """Two small nets of the same weights."""
    pair = (models.mlp(hidden=(16,)), models.mlp(hidden=(16,)))
    pair[1].load_state_dict(pair[0].state_dict())
    return pair


def by_hand(
    net: nn.Module, loader: data.DataLoader, lr: float, divide_by: int | None = None
) -> tuple[float, float]:
    """An epoch written out: the means of loss and accuracy."""
    loss_sum = hits = count = 0.0
    for x, y in loader:
        logits = net(x)
        loss = nn.CrossEntropyLoss(reduction="sum")(logits, y)
        net.zero_grad()
        (loss / (divide_by or len(y))).backward()
        for p in net.parameters():
            assert p.grad is not None
            p.data -= lr * p.grad.data
        loss_sum, count = loss_sum + loss.item(), count + len(y)
        hits += float((logits.argmax(1) == y).sum())
    return loss_sum / count, hits / count


def assert_same_weights(a: nn.Module, b: nn.Module) -> None:
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-6)


def test_train_ch6_starts_from_xaviers_weights_and_prints_the_chapters_lines(
    few: data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    for p in net.parameters():
        p.data[...] = 5  # the weights are drawn anew, the biases stay
    for p in twin.parameters():
        p.data[...] = 5
    train, test = data.DataLoader(few, 64), data.DataLoader(few[:100], 64)
    minicnn.manual_seed(3)
    history = minicnn.History()
    d2l.train_ch6(net, train, test, 2, 0.1, "cpu", history=history)
    minicnn.manual_seed(3)
    twin.apply(d2l.init_weights)
    state, bound = twin.state_dict(), np.sqrt(6 / (784 + 16))
    assert float(state["1.bias"].numpy().min()) == 5
    assert 0.9 * bound < np.abs(state["1.weight"].numpy()).max() <= bound
    by_hand(twin, train, 0.1)
    loss, acc = by_hand(twin, train, 0.1)
    assert_same_weights(net, twin)
    test_acc = minicnn.evaluate(twin, test)

    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == [
        "training on cpu",
        f"loss {loss:.3f}, train acc {acc:.3f}, test acc {test_acc:.3f}",
    ]
    speed = re.fullmatch(r"(\d+\.\d) examples/sec on cpu", printed[2])
    assert speed
    assert float(speed[1]) == pytest.approx(history.examples_per_sec, abs=0.051)
    assert len(printed) == 3
    assert len(history.epochs) == 2


def test_train_ch6_sizes_lazy_layers_and_gives_them_xaviers_weights(few: data.Dataset) -> None:
    net = nn.Sequential(
        nn.LazyConv2d(2, kernel_size=5), nn.Sigmoid(), nn.Flatten(), nn.LazyLinear(10)
    )
    loader = data.DataLoader(few, 150)
    d2l.train_ch6(net, loader, loader, 1, 0.0, "cpu")
    largest = np.abs(net.state_dict()["3.weight"].numpy()).max()
    assert type(net[3]) is nn.Linear
    assert largest <= np.sqrt(6 / (1152 + 10))
    assert largest > 2 / np.sqrt(1152)  # beyond PyTorch's default


def test_training_compiles_if_asked_to(few: data.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def eager(*arguments: Any, **options: Any) -> minicnn.History:
        asked.append(options.pop("compile"))
        return minicnn.fit(*arguments, **options)

    monkeypatch.setattr(d2l.training, "fit", eager)
    net, loader = models.mlp(hidden=(4,)), data.DataLoader(few, 150)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    for compiled in (True, False):
        d2l.train_ch6(net, loader, loader, 1, 0.1, "cpu", compile=compiled)
        d2l.train_ch5(net, loader, loader, 150, optimizer, "cpu", 1, compile=compiled)
    assert asked == [True, True, False, False]


def test_train_ch5_divides_by_the_batch_size_and_prints_a_line_an_epoch(
    few: data.Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    train, test = data.DataLoader(few, 200), data.DataLoader(few[:100], 64)  # batches: 200, 100
    optimizer = optim.SGD(net.parameters(), lr=0.5)
    history = minicnn.History()
    d2l.train_ch5(net, train, test, 200, optimizer, "cpu", 2, history=history)
    expected = ["training on cpu"]
    for epoch in (1, 2):
        loss, acc = by_hand(twin, train, 0.5, divide_by=200)
        seconds = history.epochs[epoch - 1]["seconds"] + history.epochs[epoch - 1]["eval_seconds"]
        expected.append(
            f"epoch {epoch}, loss {loss:.4f}, train acc {acc:.3f}, "
            f"test acc {minicnn.evaluate(twin, test):.3f}, time {seconds:.1f} sec"
        )
    assert_same_weights(net, twin)
    assert capsys.readouterr().out.splitlines() == expected


def test_a_notebook_draws_the_curves_of_a_training(few: data.Dataset, shown: list[str]) -> None:
    loader = data.DataLoader(few, 150)
    net = models.mlp(hidden=(4,))
    d2l.train_ch6(net, loader, loader, 2, 0.1, "cpu")
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    d2l.train_ch5(net, loader, loader, 150, optimizer, "cpu", 1)
    assert shown == ["display", "update", "display"]


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("plain", [False, True])
def test_train_ch3_takes_an_optimiser_or_a_function(
    few: data.Dataset, reduction: str, plain: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    net, twin = twins()
    train, test = data.DataLoader(few, 200), data.DataLoader(few[:100], 64)
    updater: Any = optim.SGD(net.parameters(), lr=0.5)
    if plain:

        def updater(batch_size: int) -> None:
            d2l.sgd(net.parameters(), 0.5, batch_size)

    curves = d2l.Animator()
    loss_of = nn.CrossEntropyLoss(reduction=reduction)
    d2l.train_ch3(net, train, test, loss_of, 2, updater, animator=curves)
    by_hand(twin, train, 0.5)
    loss, acc = by_hand(twin, train, 0.5)
    test_acc = minicnn.evaluate(twin, test)
    assert_same_weights(net, twin)
    assert capsys.readouterr().out.splitlines()[1] == (
        f"epoch 2, loss {loss:.4f}, train acc {acc:.3f}, test acc {test_acc:.3f}"
    )
    assert curves.X == [[1, 2]] * 3
    assert [y[-1] for y in curves.Y] == pytest.approx([loss, acc, test_acc], rel=1e-5)


def test_train_ch3_trains_a_function(few: data.Dataset) -> None:
    """Softmax regression written from scratch, as the book begins."""
    W, b = nn.Parameter(np.zeros((784, 10), np.float32)), nn.Parameter(np.zeros(10, np.float32))

    def net(x: Tensor) -> Tensor:
        return (x.reshape(-1, 784) @ W + b).softmax(1)

    def cross_entropy(y_hat: Tensor, y: Tensor) -> Tensor:
        return -y_hat[list(range(len(y_hat))), y].log()

    loader = data.DataLoader(few, 50)
    curves = d2l.Animator()
    d2l.train_ch3(
        net, loader, loader, cross_entropy, 5, lambda n: d2l.sgd([W, b], 0.1, n), animator=curves
    )
    assert curves.Y[0][-1] < 0.6 * curves.Y[0][0]
    assert curves.Y[2][-1] > 0.65


def test_an_epoch_needs_examples() -> None:
    with pytest.raises(ValueError, match="train_iter has no examples"):
        d2l.train_epoch_ch3(models.mlp(), [], nn.CrossEntropyLoss(), None)


def test_every_name_is_there() -> None:
    assert d2l.__all__ == sorted(d2l.__all__)
    assert all(hasattr(d2l, name) for name in d2l.__all__)
    assert d2l.try_gpu() == minicnn.try_gpu()


def test_plt_is_matplotlibs_pyplot() -> None:
    from matplotlib import pyplot

    assert d2l.plt is pyplot


@pytest.mark.parametrize("name", [*INSTEAD, *SAME])
def test_a_name_that_is_not_here_says_of_which_edition_it_is_and_what_to_write(name: str) -> None:
    with pytest.raises(
        AttributeError,
        match=rf"^d2l\.{name} of (\w+ \w+ edition|every edition|today's site) is not here; \w+ ",
    ):
        getattr(d2l, name)
    assert name not in d2l.__all__


def test_a_name_of_no_edition_is_only_refused() -> None:
    with pytest.raises(AttributeError, match=r"^minicnn\.d2l has no name resnet18"):
        d2l.resnet18  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(d2l, "__wrapped__")


def test_what_is_named_instead_is_there() -> None:
    said = [cure for _, cure in INSTEAD.values()] + [*SAME.values()]
    for module, name in re.findall(
        r"\b(minicnn|d2l|data|nn|nn\.functional)\.(\w+)", " ".join(said)
    ):
        assert hasattr(minicnn if module == "minicnn" else eval(module), name), (module, name)


def test_corr2d_as_the_message_says() -> None:
    X, K = Tensor(np.arange(9.0).reshape(3, 3)), Tensor(np.arange(4.0).reshape(2, 2))
    Y = nn.functional.conv2d(X[None, None], K[None, None])[0, 0]
    np.testing.assert_array_equal(Y.numpy(), [[19, 25], [37, 43]])
