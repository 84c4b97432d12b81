"""``python -m minicnn.visualize``: the numbers behind the pictures, and the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, data, nn, train, visualize
from minicnn.data import sample
from minicnn.nn import functional as F
from minicnn.train.run import load_test_set
from minicnn.visualize.draw.activations import EXAMPLES
from minicnn.visualize.draw.board import RIGHT, WRONG, empty_figure, photo, short
from minicnn.visualize.draw.mistakes import percent
from minicnn.visualize.options import chosen_classes

NAMES = [
    "activations-1.png", "activations-2.png", "confusion.png", "filters.png", "gradients.png",
    "mistakes.png",
]  # fmt: skip
SMALL = "--channels 3,5 --hidden 12 --activation relu --pool max --lr 0.1 --epochs 12"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small net, trained on the sample for a few seconds."""
    folder = tmp_path_factory.mktemp("visualize") / "run"
    options = [*SMALL.split(), "--dataset", "fashion-mnist-sample", "--out", str(folder)]
    assert train.main(options) == 0
    return folder


@pytest.fixture(scope="module")
def net(run: Path) -> nn.Sequential:
    net, _ = minicnn.load_run(run)
    assert isinstance(net, nn.Sequential)
    return net


@pytest.fixture(scope="module")
def test_set() -> data.Dataset:
    return data.load("fashion-mnist-sample")[1]


@pytest.fixture(scope="module")
def predictions(net: nn.Sequential, test_set: data.Dataset) -> visualize.Predictions:
    return visualize.predict(net, test_set)


def pixels_of(images: np.ndarray) -> Tensor:
    return Tensor(images[:, None].astype(np.float32) / 255)


# Numbers ------------------------------------------------------------------------------------------


def test_the_layers_end_behind_their_activation_functions(net: nn.Sequential) -> None:
    ends = {layer.name: layer.end for layer in visualize.layers(net)}
    assert ends == {"convolution 1": 2, "convolution 2": 5, "dense 1": 9, "dense 2": 10}
    normalised = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Dropout(), nn.ReLU(), nn.Flatten()
    )
    (layer,) = visualize.layers(normalised)
    assert (layer.name, layer.end) == ("convolution 1", 3)


@pytest.mark.parametrize("after", [nn.BatchNorm2d(2), nn.Sigmoid(), nn.Tanh(), nn.ReLU()])
def test_what_is_applied_right_after_a_layer_counts_with_it(after: nn.Module) -> None:
    (layer,) = visualize.layers(nn.Sequential(nn.Identity(), nn.Conv2d(1, 2, 3), after))
    assert (layer.name, layer.end) == ("convolution 1", 3)
    (layer,) = visualize.layers(nn.Sequential(after, nn.Conv2d(1, 2, 3), nn.Dropout(), after))
    assert layer.end == 2


def test_activations_are_those_of_the_beginning_of_the_net(
    net: nn.Sequential, test_set: data.Dataset
) -> None:
    images = test_set.images[:260]  # more than a batch
    for layer, k in zip(visualize.layers(net), (2, 5, 9, 10), strict=True):
        found = visualize.activations(net, layer, images)
        expected = net[:k](pixels_of(images)).numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_activations_are_taken_in_evaluation_mode_and_the_mode_put_back() -> None:
    conv = nn.Conv2d(1, 1, 1)
    net = nn.Sequential(nn.Dropout(0.9), conv, nn.ReLU())
    (layer,) = visualize.layers(net)
    images = np.full((1, 3, 3), 255, np.uint8)
    (found,) = np.unique(visualize.activations(net, layer, images))
    assert found == pytest.approx(max(0, sum(p.item() for p in conv.parameters())))
    assert net.training


def test_predictions_are_probabilities_and_losses(
    net: nn.Sequential, predictions: visualize.Predictions, test_set: data.Dataset
) -> None:
    logits = net(pixels_of(test_set.images)).numpy().astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions.probabilities, expected, rtol=1e-5, atol=1e-8)
    right = expected[np.arange(1000), test_set.labels]
    np.testing.assert_allclose(predictions.losses, -np.log(right), rtol=1e-4, atol=1e-5)
    accuracy = minicnn.evaluate(net, data.DataLoader(test_set, 500))
    assert predictions.accuracy == pytest.approx(accuracy)
    assert 0.5 < accuracy < 0.95  # some pictures are wrong, most are not


def test_predictions_are_those_of_any_module(test_set: data.Dataset) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(784, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(x.flatten(1))

    net, few = Net(), test_set[:20]
    same = nn.Sequential(nn.Flatten(), net.dense)
    assert (visualize.predict(net, few).losses == visualize.predict(same, few).losses).all()


def test_the_confusion_matrix_counts_every_picture_once(
    predictions: visualize.Predictions, test_set: data.Dataset
) -> None:
    counts = visualize.confusion(predictions)
    assert counts.shape == (10, 10)
    assert counts.sum(axis=1).tolist() == np.bincount(test_set.labels).tolist()
    assert counts.sum(axis=0).tolist() == np.bincount(predictions.classes, minlength=10).tolist()
    assert counts.trace() == round(1000 * predictions.accuracy)
    both = (test_set.labels == 6) & (predictions.classes == 0)
    assert counts[6, 0] == both.sum() > 0  # shirts taken for T-shirts


def test_the_most_confused_classes_count_both_ways() -> None:
    counts = np.diag([90, 90, 90, 90])
    counts[0, 1], counts[2, 3], counts[3, 2] = 7, 4, 5
    assert visualize.most_confused(counts) == (2, 3)


def test_the_most_wrong_pictures_are_those_of_the_largest_loss(
    predictions: visualize.Predictions,
) -> None:
    picked = visualize.most_wrong(predictions, 12)
    losses = predictions.losses
    assert losses[picked].tolist() == sorted(losses, reverse=True)[:12]
    assert (predictions.classes[picked] != predictions.labels[picked]).all()
    wrong = int((predictions.classes != predictions.labels).sum())
    assert len(visualize.most_wrong(predictions, 1000)) == wrong < 1000


def test_a_picture_that_is_right_is_no_mistake_however_large_its_loss() -> None:
    probabilities = np.array([[0.4, 0.3, 0.3], [0.45, 0.55, 0.0], [0.9, 0.1, 0.0]])
    losses = -np.log([0.4, 0.45, 0.1])
    predictions = visualize.Predictions(probabilities, losses, np.array([0, 0, 1]))
    assert visualize.most_wrong(predictions, 5).tolist() == [2, 1]


def test_gradient_norms_are_those_of_the_mean_loss_of_each_batch(
    net: nn.Sequential, test_set: data.Dataset
) -> None:
    norms = visualize.gradient_norms(net, test_set[:400])
    assert norms.shape == (2, 4)
    assert all(p.grad is None for p in net.parameters())
    for batch, rows in enumerate((slice(0, 250), slice(250, 400))):
        loss = F.cross_entropy(net(pixels_of(test_set.images[rows])), Tensor(test_set.labels[rows]))
        loss.backward()
        for number, place in enumerate((0, 3, 7, 9)):
            gradients = [p.grad.numpy() for p in net[place].parameters() if p.grad is not None]
            length = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
            assert norms[batch, number] == pytest.approx(length, rel=1e-4)
        net.zero_grad()


def test_weights_on_coloured_pictures_have_a_row_for_each_colour() -> None:
    layer = visualize.Layer("dense 1", nn.Linear(3 * 4 * 5, 7), 1)
    seen = visualize.filters(layer, (3, 4, 5))
    assert seen is not None
    weight = layer.module.weight.numpy()
    np.testing.assert_array_equal(seen, weight.reshape(7, 3, 4, 5).swapaxes(0, 1))
    assert visualize.filters(layer, (4, 5)) is None
    drawn = visualize.draw_filters(nn.Sequential(nn.Flatten(), layer.module), (3, 4, 5), "a run")
    words = [text.get_text() for text in drawn.axes[0].texts]
    assert words == ["dense 1: 7 of 7 units, a weight for each pixel, a row for each of 3 channels"]


def test_a_coloured_picture_is_drawn_in_its_colours(rng: np.random.Generator) -> None:
    axes = empty_figure(2, 2, "").add_axes((0, 0, 1, 1))
    picture = rng.integers(0, 256, (3, 4, 5))
    photo(axes, picture, 0, 0)
    photo(axes, picture[1], 1, 0)
    colours, grey = (image.get_array() for image in axes.images)
    np.testing.assert_array_equal(colours, picture.transpose(1, 2, 0))
    np.testing.assert_array_equal(grey, picture[1])


def test_filters_are_the_weights_by_channel_and_kernel(net: nn.Sequential) -> None:
    first, second, dense, _ = visualize.layers(net)
    seen = visualize.filters(second, (28, 28))
    assert seen is not None
    np.testing.assert_array_equal(seen[2, 4], second.module.weight.numpy()[4, 2])
    assert visualize.filters(first, (28, 28)).shape == (1, 3, 5, 5)  # type: ignore[union-attr]
    assert visualize.filters(dense, (28, 28)) is None
    on_pixels = visualize.Layer("dense 1", nn.Linear(784, 7), 1)
    seen = visualize.filters(on_pixels, (28, 28))
    assert seen is not None
    np.testing.assert_array_equal(seen[0, 3].reshape(-1), on_pixels.module.weight.numpy()[3])


def test_nans_are_said_to_be_a_diverged_net(test_set: data.Dataset) -> None:
    dense = nn.Linear(784, 10)
    dense.weight.data[0, 0] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        visualize.predict(nn.Sequential(nn.Flatten(), dense), test_set[:3])


def test_all_numbers_are_those_of_evaluation_and_of_pixels_as_the_run_normalised_them(
    test_set: data.Dataset,
) -> None:
    few, normalise = test_set[:6], ([0.25], [0.5])
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))
    (layer,) = visualize.layers(net)
    x = Tensor(((few.images[:, None] / 255 - 0.25) / 0.5).astype(np.float32))
    logits = net.eval()(x)
    loss = F.cross_entropy(logits, Tensor(few.labels))
    loss.backward()
    lengths = [float((p.grad.numpy() ** 2).sum()) for p in net.parameters() if p.grad is not None]
    net.train()
    found = visualize.predict(net, few, normalise)
    np.testing.assert_allclose(found.losses.mean(), loss.item(), rtol=1e-5)
    shown = visualize.activations(net, layer, few.images, normalise)
    np.testing.assert_allclose(shown, logits.numpy(), rtol=1e-4, atol=1e-5)
    norms = visualize.gradient_norms(net, few, normalise)
    assert norms == pytest.approx(np.array([[np.sqrt(sum(lengths))]]), rel=1e-4)
    assert all(module.training for module in net.modules())


# What is drawn ------------------------------------------------------------------------------------


def words_of(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_picture_of_activations_shows_every_channel_of_the_chosen_classes(
    net: nn.Sequential, test_set: data.Dataset
) -> None:
    layer = visualize.layers(net)[1]
    figure = visualize.draw_activations(net, layer, test_set, (2, 4), "a run")
    (board,) = figure.axes
    rows = 2 * (EXAMPLES + 1)
    assert len(board.images) == rows * (1 + 5)
    coats = test_set.images[test_set.labels == 4]
    maps = net[:5](pixels_of(coats)).numpy()
    first_coat = (EXAMPLES + 1) * 6
    np.testing.assert_array_equal(board.images[first_coat].get_array(), coats[0])
    np.testing.assert_allclose(
        board.images[first_coat + 3].get_array(), maps[0, 2], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        board.images[-1].get_array(), maps.mean(axis=0)[4], rtol=1e-4, atol=1e-5
    )
    words = words_of(figure)
    assert {"Pullover", "Coat", f"mean of {len(coats)}"} <= set(words)
    shown = [image.get_array() for image in board.images[3::6]]  # channel 3 of all rows
    assert board.images[3].get_clim() == (np.min(shown), np.max(shown))


def test_the_confusion_matrix_is_written_out() -> None:
    counts = np.array([[1234, 411], [0, 10]])
    words = words_of(visualize.draw_confusion(counts, ("cat", "dog"), "a run"))
    numbers = [word for word in words if word[0] in "0123456789·"]
    assert numbers == ["1,234", "411", "·", "10", "0.75", "1.00"]


def test_a_mistake_shows_its_three_likeliest_classes_and_the_right_one(
    predictions: visualize.Predictions, test_set: data.Dataset
) -> None:
    picked = visualize.most_wrong(predictions, 3)
    figure = visualize.draw_mistakes(predictions, test_set, picked, "a run")
    boards, bars = figure.axes[::2], figure.axes[1::2]
    for i, board, chart in zip(picked, boards, bars, strict=True):
        np.testing.assert_array_equal(board.images[0].get_array(), test_set.images[i])
        p = predictions.probabilities[i]
        widths = [bar.get_width() for bar in chart.patches]
        assert widths[:3] == sorted(p, reverse=True)[:3]
        names = [label.get_text() for label in chart.get_yticklabels()]
        assert names[0] == test_set.classes[predictions.classes[i]]
        right = names.index(test_set.classes[test_set.labels[i]])
        assert widths[right] == p[test_set.labels[i]]


def captions(figure: Any) -> list[str]:
    """The title, and the line below it."""
    return [text.get_text() for text in figure.texts]


def test_the_picture_of_activations_says_what_it_shows_and_on_which_scale(
    net: nn.Sequential, test_set: data.Dataset
) -> None:
    _, second, dense, _ = visualize.layers(net)
    figure = visualize.draw_activations(net, second, test_set, (2, 4), "a run")
    assert captions(figure) == [
        "a run: convolution 2, activations",
        "5 channels, each on the scale above it, from dark to light",
    ]
    images = test_set.images[np.isin(test_set.labels, (2, 4))]
    maps = visualize.activations(net, second, images)
    pictures = [maps[test_set.labels[np.isin(test_set.labels, (2, 4))] == k] for k in (2, 4)]
    shown = np.concatenate([np.concatenate([m[:4], m.mean(0, keepdims=True)]) for m in pictures])
    for c in range(5):
        low, high = shown[:, c].min(), shown[:, c].max()
        assert f"{c + 1}\n{low:.2f} – {high:.2f}".replace("-", "−") in words_of(figure)
        assert figure.axes[0].images[1 + c].get_clim() == pytest.approx((low, high))

    figure = visualize.draw_activations(net, dense, test_set, (9,), "a run")
    assert captions(figure) == [
        "a run: dense 1, activations",
        "12 units side by side, from dark to light on the scale above them",
    ]
    units = visualize.activations(net, dense, test_set.images[test_set.labels == 9])
    shown = np.concatenate([units[:4], units.mean(0, keepdims=True)])
    assert f"{shown.min():.2f} – {shown.max():.2f}".replace("-", "−") in words_of(figure)
    np.testing.assert_allclose(figure.axes[0].images[-1].get_array()[0], shown[-1], rtol=1e-5)

    wide = nn.Sequential(nn.Conv2d(1, 20, 3))
    (layer,) = visualize.layers(wide)
    figure = visualize.draw_activations(wide, layer, test_set, (0,), "a run")
    assert captions(figure)[1].startswith("the first 16 of 20 channels, each on")
    assert len(figure.axes[0].images) == 5 * (1 + 16)


def test_the_picture_of_filters_shows_the_weights_and_their_scale(net: nn.Sequential) -> None:
    figure = visualize.draw_filters(net, (28, 28), "a run")
    assert captions(figure) == [
        "a run: filters",
        "kernels from left to right, the channels that they see from top to bottom",
    ]
    boards, scales = figure.axes[::2], figure.axes[1::2]
    for layer, board, scale in zip(visualize.layers(net)[:2], boards, scales, strict=True):
        weight = layer.module.weight.numpy()
        most = float(np.abs(weight).max())
        o, c = weight.shape[:2]
        tiles = [(i, k) for k in range(c) for i in range(o)]
        for image, (i, k) in zip(board.images, tiles, strict=True):
            np.testing.assert_array_equal(image.get_array(), weight[i, k])
            assert image.get_clim() == (-most, most)
            assert image.get_extent()[0] == pytest.approx(i + 0.04)
            assert image.get_extent()[3] == pytest.approx(k + 0.04)
        ticks = [label.get_text() for label in scale.get_yticklabels()]
        assert ticks == [f"−{most:.2f}", "0", f"{most:.2f}"]
        assert scale.get_yticks().tolist() == pytest.approx([-most, 0, most])
        (said,) = [word for word in words_of(figure) if word.startswith(layer.name)]
        assert said == f"{layer.name}: {o} kernels of {c} × 5 × 5"


def test_few_of_many_filters_are_counted() -> None:
    wide = nn.Sequential(nn.Conv2d(1, 20, 3), nn.Conv2d(20, 18, 3))
    figure = visualize.draw_filters(wide, (28, 28), "a run")
    assert [len(board.images) for board in figure.axes[::2]] == [16, 256]
    assert "convolution 1: 20 kernels of 1 × 3 × 3, 1 × 16 tiles of them" in words_of(figure)
    assert "convolution 2: 18 kernels of 20 × 3 × 3, 16 × 16 tiles of them" in words_of(figure)
    on_pixels = nn.Sequential(nn.Flatten(), nn.Linear(784, 70))
    figure = visualize.draw_filters(on_pixels, (28, 28), "a run")
    assert captions(figure)[1] == "from left to right, line by line"
    assert "dense 1: 64 of 70 units, a weight for each pixel" in words_of(figure)


def test_the_confusion_matrix_says_the_accuracy_and_marks_what_is_right() -> None:
    counts = np.array([[30, 10, 0], [6, 3, 1], [0, 0, 50]])
    figure = visualize.draw_confusion(counts, ("cat", "dog", "bird"), "a run")
    title, below = captions(figure)
    assert title == "a run: 3 classes, accuracy 0.830"
    assert below.startswith("rows: what it is; columns: what the net takes it for")
    (board,) = figure.axes
    places = {text.get_text(): text.get_position() for text in board.texts}
    assert places["10"][0] > places["30"][0]  # cats taken for dogs: right of the cats
    assert places["10"][1] == places["30"][1]
    assert places["6"][1] > places["30"][1]
    assert (places["0.75"][1], places["0.30"][1]) == (0.5, 1.5)
    colours = [image.get_cmap()(0.0) for image in board.images]
    greens = [colour[1] > colour[0] for colour in colours]
    assert [greens[k] for k in (0, 4, 8)] == [True] * 3
    assert [greens[k] for k in (1, 3)] == [False] * 2
    assert colours[0][0] < colours[4][0]  # three quarters are darker than three tenths


def test_the_picture_of_mistakes_counts_them(
    predictions: visualize.Predictions, test_set: data.Dataset
) -> None:
    picked = visualize.most_wrong(predictions, 5)
    figure = visualize.draw_mistakes(predictions, test_set, picked, "a run")
    wrong = int((predictions.classes != predictions.labels).sum())
    assert captions(figure) == [
        "a run: the pictures that it gets most wrong",
        f"the 5 of largest loss among {wrong:,} mistakes; green: what it is; "
        "orange: what the net takes it for",
    ]
    words = words_of(figure)
    for i in picked:
        assert f"number {i}, loss {predictions.losses[i]:.2f}" in words
        p = predictions.probabilities[i]
        assert percent(p.max()) in words
    labels = {label.get_text(): label.get_color() for label in figure.axes[1].get_yticklabels()}
    assert labels[test_set.classes[predictions.labels[picked[0]]]] == RIGHT
    assert labels[test_set.classes[predictions.classes[picked[0]]]] == WRONG


def test_mistakes_stand_in_rows_of_four_the_worst_first(test_set: data.Dataset) -> None:
    wrong = np.full((6, 10), 0.1)
    predictions = visualize.Predictions(wrong, np.arange(6.0), np.full(6, 3))
    picked = visualize.most_wrong(predictions, 5)
    assert picked.tolist() == [5, 4, 3, 2, 1]
    figure = visualize.draw_mistakes(predictions, test_set, picked, "a run")
    lefts = [board.get_position().x0 for board in figure.axes[::2]]
    tops = [board.get_position().y1 for board in figure.axes[::2]]
    assert lefts[:4] == sorted(lefts[:4])
    assert len(set(lefts)) == 4
    assert lefts[4] == lefts[0]
    assert tops[:4] == [tops[0]] * 4
    assert tops[4] < figure.axes[0].get_position().y0
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert names == [test_set.classes[k] for k in (0, 1, 2, 3)]  # the right one below


@pytest.mark.parametrize(
    ("number", "said"), [(99.99, "99.99"), (100.0, "100"), (-3.5, "−3.50"), (-250.6, "−251")]
)
def test_a_number_of_a_scale_is_short(number: float, said: str) -> None:
    assert short(number) == said


def test_a_picture_of_two_channels_is_their_mean() -> None:
    axes = empty_figure(2, 2, "").add_axes((0, 0, 1, 1))
    photo(axes, np.array([[[0, 100]], [[50, 200]]]), 0, 0)
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), [[25, 150]])
    assert image.get_clim() == (0, 255)


def test_the_picture_of_gradients_has_a_dot_for_each_batch_and_the_median() -> None:
    norms = np.array([[0.5, 20.0], [0.25, 10.0], [2.0, 0.0]])
    figure = visualize.draw_gradients(norms, ("conv", "dense"), "a run")
    title, below = captions(figure)
    assert title == "a run: gradients by layer"
    assert "a dot for each of 3 batches, and the median" in below
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv", "dense"]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    marks = [line for line in axes.lines if line.get_marker() != "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[0.5, 0.25, 2.0], [20.0, 10.0]]
    for row, line in enumerate(dots):
        assert np.abs(line.get_ydata() - row).max() < 0.3
    assert [line.get_xdata()[0] for line in marks] == [0.5, 10.0]
    assert [np.mean(line.get_ydata()) for line in marks] == [0, 1]
    assert words_of(figure) == ["0.5", "10"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0.02, 0.5], [0.02, 0.05, 0.1, 0.2, 0.5]), ([1e-3, 10.0], [1e-3, 0.01, 0.1, 1, 10])],
)
def test_a_logarithmic_axis_has_plain_decimals(values: list[float], ticks: list[float]) -> None:
    figure = visualize.draw_gradients(np.array([values]).T, ("a",), "a run")
    (axis,) = (axes.xaxis for axes in figure.axes)
    low, high = min(values) * 0.99, max(values) * 1.01
    seen = [tick for tick in axis.get_major_locator()() if low < tick < high]
    assert seen == pytest.approx(ticks)
    assert axis.get_major_formatter()(0.05, 0) == "0.05"


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.5, "50 %"), (0.999, "99.9 %"), (0.004, "0.4 %"), (0.0002, "< 0.1 %"), (1.0, "100 %")],
)
def test_probabilities_are_written_short(p: float, said: str) -> None:
    assert percent(p) == said


# The command --------------------------------------------------------------------------------------


def test_the_command_writes_the_pictures_and_says_which(
    run: Path,
    predictions: visualize.Predictions,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(path.name for path in run.iterdir())
    out = tmp_path / "deep" / "pictures"
    options = ["--classes", "sandal, 9", "--mistakes", "5"]
    assert visualize.main(["--run", str(run), "--out", str(out), *options]) == 0
    assert sorted(path.name for path in out.iterdir()) == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.iterdir())
    assert sorted(path.name for path in run.iterdir()) == before
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"lenet on fashion-mnist-sample: 1,000 test pictures, accuracy {predictions.accuracy:.3f}\n"
    )
    assert printed.count(f"written {out}") == len(NAMES)


def test_by_default_the_pictures_lie_with_the_run(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "filters.png").write_bytes(b"of before")
    assert visualize.main(["--run", str(copy)]) == 0
    assert {*NAMES, "model.safetensors", "curves.png"} <= {path.name for path in copy.iterdir()}
    assert (copy / "filters.png").read_bytes().startswith(b"\x89PNG")


def test_a_net_of_dense_layers_has_pictures_too(tmp_path: Path) -> None:
    options = ["--dataset", "fashion-mnist-sample", "--model", "mlp", "--hidden", "20,20"]
    assert train.main([*options, "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert visualize.main(["--run", str(tmp_path)]) == 0
    assert set(NAMES) <= {path.name for path in tmp_path.iterdir()}


def test_the_classes_are_the_chapters_unless_chosen(test_set: data.Dataset) -> None:
    classes, digits = test_set.classes, tuple("0123456789")
    assert chosen_classes(None, classes) == (2, 4)
    assert chosen_classes("ankle boot,0,T-shirt/top", classes) == (9, 0)
    assert chosen_classes(None, digits) == ()  # the two that the net confuses most
    assert chosen_classes("4,9", digits) == (4, 9)


def test_without_the_whole_set_the_sample_is_used_and_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name != "fashion-mnist-sample":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(sample, "load", offline)
    config = json.loads((run / "config.json").read_text())
    assert len(load_test_set({**config, "dataset": "fashion-mnist"}, None)) == 1000
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    assert "sample" in printed
    with pytest.raises(data.DatasetNotFoundError):  # clothes are no test of digits
        load_test_set({**config, "dataset": "mnist"}, None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--classes", "Pullover,Hat"], "--classes: 'Hat'; wanted some of T-shirt/top"),
        (["--run", "no such folder"], "no such folder"),
        (["--data-dir", "."], "sample"),
        (["--mistakes", "none"], "--mistakes"),
        (["--out", "a file"], "a file"),
        ([], "--run"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_2(
    options: list[str],
    complaint: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a file").touch()
    given = [] if not options or "--run" in options else ["--run", str(run)]
    with pytest.raises(SystemExit) as ended:
        visualize.main([*given, *options])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert complaint in errors
    assert not (run / "confusion.png").exists()


@pytest.mark.parametrize("damage", [{"dataset": None}, {"dataset": "cifar"}, {"model": "resnet"}])
def test_a_damaged_configuration_is_one_line_and_status_2(
    damage: dict[str, Any], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text()) | damage
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit) as ended:
        visualize.main(["--run", str(copy)])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert re.search("dataset|name|model", errors)
