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
from minicnn import Tensor, data, nn, runs, train, visualize
from minicnn.nn import functional as F

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


def test_filters_are_the_weights_by_channel_and_kernel(net: nn.Sequential) -> None:
    first, second, dense, _ = visualize.layers(net)
    seen = visualize.filters(second, 784)
    assert seen is not None
    np.testing.assert_array_equal(seen[2, 4], second.module.weight.numpy()[4, 2])
    assert visualize.filters(first, 784).shape == (1, 3, 5, 5)  # type: ignore[union-attr]
    assert visualize.filters(dense, 784) is None
    on_pixels = visualize.Layer("dense 1", nn.Linear(784, 7), 1)
    seen = visualize.filters(on_pixels, 784)
    assert seen is not None
    np.testing.assert_array_equal(seen[0, 3].reshape(-1), on_pixels.module.weight.numpy()[3])


def test_nans_are_said_to_be_a_diverged_net(test_set: data.Dataset) -> None:
    dense = nn.Linear(784, 10)
    dense.weight.data[0, 0] = np.nan
    with pytest.raises(ValueError, match="diverged"):
        visualize.predict(nn.Sequential(nn.Flatten(), dense), test_set[:3])


# What is drawn ------------------------------------------------------------------------------------


def words_of(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_picture_of_activations_shows_every_channel_of_the_chosen_classes(
    net: nn.Sequential, test_set: data.Dataset
) -> None:
    layer = visualize.layers(net)[1]
    figure = visualize.draw_activations(net, layer, test_set, (2, 4), "a run")
    (board,) = figure.axes
    rows = 2 * (visualize.EXAMPLES + 1)
    assert len(board.images) == rows * (1 + 5)
    coats = test_set.images[test_set.labels == 4]
    maps = net[:5](pixels_of(coats)).numpy()
    first_coat = (visualize.EXAMPLES + 1) * 6
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


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.5, "50 %"), (0.999, "99.9 %"), (0.004, "0.4 %"), (0.0002, "< 0.1 %"), (1.0, "100 %")],
)
def test_probabilities_are_written_short(p: float, said: str) -> None:
    assert visualize._percent(p) == said


# The command --------------------------------------------------------------------------------------


def test_the_command_writes_the_pictures_and_says_which(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in run.iterdir())
    out = tmp_path / "deep" / "pictures"
    options = ["--classes", "sandal, 9", "--mistakes", "5"]
    assert visualize.main(["--run", str(run), "--out", str(out), *options]) == 0
    assert sorted(path.name for path in out.iterdir()) == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in out.iterdir())
    assert sorted(path.name for path in run.iterdir()) == before
    printed = capsys.readouterr().out
    assert re.match(
        r"lenet on fashion-mnist-sample: 1,000 test pictures, accuracy 0\.\d{3}\n", printed
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
    assert visualize._chosen(None, classes) == (2, 4)
    assert visualize._chosen("ankle boot,0,T-shirt/top", classes) == (9, 0)
    assert visualize._chosen(None, digits) == ()  # the two that the net confuses most
    assert visualize._chosen("4,9", digits) == (4, 9)


def test_without_the_whole_set_the_sample_is_used_and_said(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = data.load

    def offline(name: str, root: Any = None) -> Any:
        if name != "fashion-mnist-sample":
            raise data.DatasetNotFoundError("no network")
        return load(name, root)

    monkeypatch.setattr(data, "load", offline)
    config = json.loads((run / "config.json").read_text())
    assert len(runs.load_test_set({**config, "dataset": "fashion-mnist"}, None)) == 1000
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "sample" in printed
    with pytest.raises(data.DatasetNotFoundError):  # clothes are no test of digits
        runs.load_test_set({**config, "dataset": "mnist"}, None)


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
