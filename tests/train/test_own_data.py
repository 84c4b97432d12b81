"""``python -m minicnn.train --data-dir DIR``: data of your own, from the command to the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, nn, train, visualize
from minicnn.data.catalogue import CATALOGUE, FILES, Source
from minicnn.data.find import load
from minicnn.data.idx import read_with_sha256
from minicnn.explain.options import main as explain
from minicnn.explain.options import parser as explain_parser
from minicnn.explain.trained import from_run
from minicnn.predict import Classifier
from minicnn.train.run import load_run, load_test_set, normalise_of, read_jsonl
from tests.data import own
from tests.data.test_own import WRONG, broken

FAST = ["--model", "mlp", "--hidden", "5", "--no-compile"]


def made(kind: str, folder: Path) -> Path:
    """A small set of this kind."""
    if kind == "idx":
        return own.idx(folder)
    if kind == "npz":
        return own.npz(folder / "mine.npz").parent
    if kind == "csv":
        return own.csv(folder / "train.csv", own.TRAIN_LABELS).parent
    own.picture_folder(folder / "train", own.TRAIN_LABELS, channels=3)
    return own.picture_folder(folder / "test", own.TEST_LABELS, channels=3, seed=2).parent


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    ("kind", "shape", "classes"),
    [
        ("idx", [1, 8, 9], ["0", "1", "2"]),
        ("npz", [1, 8, 9], ["0", "1", "2"]),
        ("csv", [1, 8, 8], ["0", "1", "2"]),
        ("pictures", [3, 8, 9], ["ant", "bee", "cat"]),
    ],
)
def test_every_kind_is_trained_and_its_run_reads_back(
    kind: str, shape: list[int], classes: list[str], tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "run"
    options = ["--data-dir", str(made(kind, tmp_path / "set")), "--epochs", "2", "--seed", "3"]
    assert train.main([*FAST, *options, "--out", str(out)]) == 0
    size = " x ".join(map(str, shape if shape[0] == 3 else shape[1:]))
    assert f" images of {size}, 3 classes), 2 epochs" in capsys.readouterr().out
    config = config_of(out)
    assert config["model_args"] == {"hidden": [5], "image_shape": shape, "classes": 3}
    assert (config["data_kind"], config["classes"]) == (kind, classes)
    assert config["normalise"] is None
    assert config["data_dir"] == str(tmp_path / "set")
    net, config = load_run(out)
    test = load_test_set(config)
    assert test.classes == tuple(classes)
    expected = data.from_folder(tmp_path / "set", seed=3)[1]
    np.testing.assert_array_equal(test.images, expected.images)
    measured = read_jsonl(out / "metrics.jsonl")[-1]["test_acc"]
    assert minicnn.evaluate(net, data.DataLoader(test, 3)) == measured
    again = ["--config", str(out / "config.json"), "--out", str(tmp_path / "again")]
    assert train.main(again) == 0
    for file in ("model.safetensors", "curve.jsonl"):
        assert (out / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_line_and_status_2(kind: str, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "set"
    broken(kind, folder)
    with pytest.raises(SystemExit) as ended:
        train.main(["--data-dir", str(folder), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("python -m minicnn.train: error: --data-dir: ")
    assert str(folder) in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_convolutions_follow_the_pictures(tmp_path: Path) -> None:
    folder = own.picture_folder(tmp_path / "set", own.TRAIN_LABELS * 2, channels=3)
    options = f"--data-dir {folder} --image-size 20x17 --normalise --epochs 1 --no-compile"
    assert train.main([*options.split(), "--out", str(tmp_path / "run")]) == 0
    net, config = load_run(tmp_path / "run")
    assert config["model_args"] == {"image_shape": [3, 20, 17], "classes": 3}
    shapes = [p.shape for p in net.parameters()]
    assert (shapes[0], shapes[-2]) == ((6, 3, 5, 5), (3, 84))
    test = load_test_set(config)
    assert test.images.shape[1:] == (3, 20, 17)

    # a file is stretched for a prediction as it was for the training
    (seen,) = Classifier.from_run(tmp_path / "run").predict([folder / "ant" / "000.png"])
    assert "stretched to 17 x 20" in seen.facts
    assert seen.picture.shape == (3, 20, 17)

    # what looks at the net gives it the same numbers
    normalise = normalise_of(config)
    x, y = next(iter(data.DataLoader(test, len(test), normalise=normalise)))
    given = explain_parser().parse_args(["--run", str(tmp_path / "run"), "--image", "2"])
    np.testing.assert_allclose(from_run(given)[0].x, x.numpy()[2:3], rtol=1e-6)
    assert isinstance(net, nn.Sequential)
    first = visualize.layers(net)[0]
    with minicnn.no_grad():
        expected = net[: first.end](x).numpy()
    seen = visualize.activations(net, first, test.images, normalise)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    nn.functional.cross_entropy(net(x), y).backward()
    gradients = [p.grad.numpy() for p in first.module.parameters() if p.grad is not None]
    length = sum((gradient**2).sum() for gradient in gradients) ** 0.5
    norms = visualize.gradient_norms(net, test, normalise)
    assert norms[0, 0] == pytest.approx(length, rel=1e-4)


def test_a_run_whose_data_have_moved_is_resumed_from_where_they_are(tmp_path: Path) -> None:
    folder, out = made("npz", tmp_path / "set"), tmp_path / "run"
    assert train.main([*FAST, "--data-dir", str(folder), "--epochs", "1", "--out", str(out)]) == 0
    moved = folder.rename(tmp_path / "moved")
    assert train.main(["--resume", str(out), "--data-dir", str(moved), "--epochs", "2"]) == 0
    config = config_of(out)
    assert config["data_dir"] == config["options"]["data_dir"] == str(moved)
    assert config["resumes"] == [{"epoch": 1, "batch": 1, "epochs": 2, "data_dir": str(moved)}]
    assert len(read_jsonl(out / "metrics.jsonl")) == 2
    other = made("csv", tmp_path / "other")
    with pytest.raises(SystemExit, match="2"):
        train.main(["--resume", str(out), "--data-dir", str(other), "--epochs", "3"])
    assert config_of(out) == config


def test_normalising_by_the_training_pictures_is_kept_and_used(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = made("pictures", tmp_path / "set")
    options = ["--data-dir", str(folder), "--normalise", "--epochs", "2", "--batch-size", "4"]
    assert train.main([*FAST[:-1], *options, "--out", str(out)]) == 0  # compiled
    net, config = load_run(out)
    kept = config["normalise"]
    train_set, _ = data.from_folder(folder)
    pixels = train_set.images / 255
    np.testing.assert_allclose(kept["mean"], pixels.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(kept["std"], pixels.std(axis=(0, 2, 3)))
    assert normalise_of(config) == (kept["mean"], kept["std"])
    test = load_test_set(config)
    measured = read_jsonl(out / "metrics.jsonl")[-1]
    batches = data.DataLoader(test, 3, normalise=normalise_of(config))
    assert minicnn.evaluate(net, batches) == measured["test_acc"]
    assert isinstance(net, nn.Sequential)
    seen = visualize.predict(net, test, normalise_of(config))
    assert seen.accuracy == measured["test_acc"]
    assert not np.allclose(seen.losses, visualize.predict(net, test).losses, rtol=0.01)


def test_a_known_set_keeps_its_name(tmp_path: Path) -> None:
    options = ["--dataset", "fashion-mnist-sample", "--epochs", "1"]
    assert train.main([*FAST, *options, "--out", str(tmp_path)]) == 0
    config = config_of(tmp_path)
    assert (config["dataset"], config["data_kind"]) == ("fashion-mnist-sample", "catalogue")
    assert config["model_args"] == {"hidden": [5]}
    assert config["classes"] == list(load("fashion-mnist-sample")[0].classes)


def test_a_known_set_in_files_of_other_names_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own.idx(tmp_path / "set", "mine-")
    files = (f"mine-{part}-{what}.gz" for part in ("train", "t10k") for what in
             ("images-idx3-ubyte", "labels-idx1-ubyte"))  # fmt: skip
    digests = [read_with_sha256(folder / file)[1] for file in files]
    source = Source(("0", "1", "2"), dict(zip(FILES, digests, strict=True)))
    monkeypatch.setitem(CATALOGUE, "tiny", source)
    out = tmp_path / "run"
    options = ["--data-dir", str(folder), "--epochs", "1"]
    assert train.main([*FAST, *options, "--out", str(out)]) == 0
    assert (config_of(out)["dataset"], config_of(out)["data_kind"]) == ("tiny", "catalogue")
    assert len(load_test_set(load_run(out)[1])) == len(own.TEST_LABELS)
    assert train.main(["--resume", str(out), "--epochs", "2"]) == 0
    assert len(read_jsonl(out / "metrics.jsonl")) == 2


def test_other_classes_than_those_of_the_run_are_refused(tmp_path: Path) -> None:
    folder = made("pictures", tmp_path / "set")
    options = ["--data-dir", str(folder), "--epochs", "1"]
    assert train.main([*FAST, *options, "--out", str(tmp_path / "run")]) == 0
    config = config_of(tmp_path / "run")
    own.picture_folder(folder / "train", [3, 3], [*"abc", "dog"], channels=3)
    with pytest.raises(ValueError, match=r"classes ant, bee, cat, dog; wanted those of the run: "):
        load_test_set(config)
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="set is not there; wanted four IDX files"):
        load_test_set(config)
    (moved / "train" / "dog" / "000.png").unlink()
    (moved / "train" / "dog" / "001.png").unlink()
    (moved / "train" / "dog").rmdir()
    assert len(load_test_set(config, moved)) == len(own.TEST_LABELS)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--dataset", "fashion-mnist-sample", "--image-size", "20"],
            "--image-size .* wanted none",
        ),
        (["--image-size", "0x3"], "--image-size.*0x3"),
        (["--model", "mlp", "--normalise"], "--normalise: .* one value everywhere"),
        (["--model", "lenet-max"], "leaves too little of a 2 x 2 picture"),
    ],
)
def test_options_that_do_not_fit_the_data(
    options: list[str], complaint: str, tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "set"
    for name in ("train/a", "train/b", "test/a"):
        (folder / name).mkdir(parents=True)
        Image.new("L", (9, 8), 50).save(folder / name / "1.png")
    where = [] if "--dataset" in options else ["--data-dir", str(folder)]
    with pytest.raises(SystemExit) as ended:
        train.main([*where, *options, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert re.search(complaint, errors)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "options"),
    [("pictures", ["--image-size", "20x17", "--normalise"]), ("idx", ["--model", "mlp"])],
)
def test_pictures_of_a_net_of_your_own_data(kind: str, options: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    where = ["--data-dir", str(made(kind, tmp_path / "set")), "--epochs", "1"]
    assert train.main([*where, *options, "--out", str(out)]) == 0
    assert visualize.main(["--run", str(out)]) == 0
    assert len(list(out.glob("*.png"))) == 7
    if kind == "pictures":
        page = tmp_path / "page.html"
        assert explain(["--run", str(out), "--out", str(page), "--no-open"]) == 0
        assert page.stat().st_size > 10_000
