"""``python -m minicnn.export``: a run's net as a C file, an ONNX file, a PyTorch module."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import export, load_run, models, nn
from minicnn.data.sample import SAMPLE
from minicnn.train.run import Run, load_sets
from tests.exchange.compiling import called, compiled, needs_a_compiler, self_test
from tests.exchange.nets import computed, draw, settled

ROOT = Path(__file__).parents[2]


def a_run(folder: Path, model: str = "lenet", **config: Any) -> Path:
    """The folder of a run that was stopped before its first update."""
    arguments = config.pop("model_args", {"channels": [3, 4], "hidden": [9], "batch_norm": True})
    net = settled(models.build(model, **arguments))
    content = {"model": model, "model_args": arguments, "dataset": SAMPLE, **config}
    return Run(folder, content, net).folder


def exported(capsys: pytest.CaptureFixture[str], *options: Any) -> str:
    """What the command prints."""
    assert export.main([*map(str, options)]) == 0
    return capsys.readouterr().out


@needs_a_compiler
def test_a_run_as_a_c_file_with_the_names_of_its_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path / "run", "lenet-plus", dropout=0.5)
    said = exported(capsys, "--run", run)
    path = run / "net.c"
    assert f"written {path}: lenet-plus on {SAMPLE}, void net_predict(" in said
    assert f"cc -std=c99 -O2 -DNET_SELF_TEST {path} -lm && ./a.out" in said
    assert '{"T-shirt/top", "Trouser", ' in path.read_text()
    x = draw((5, 1, 28, 28))
    np.testing.assert_allclose(called(path, x, 10), computed(load_run(run)[0], x), atol=1e-5)


@needs_a_compiler
def test_a_run_on_pictures_of_its_own_normalised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape, classes = [3, 9, 11], ['6"', "\u00e9t\u00e9??/"]
    arguments = {"image_shape": shape, "classes": 2, "hidden": [5]}
    normalise = {"mean": [0.5, 0.25, 0.4], "std": [0.2, 0.5, 1.5]}
    run = a_run(tmp_path / "run", "mlp", model_args=arguments, classes=classes, normalise=normalise)
    exported(capsys, "--run", run, "--out", tmp_path / "own.c", "--name", "own")
    assert '{"6\\"", "\\303\\251t\\303\\251\\?\\?/"};' in (tmp_path / "own.c").read_text()
    x = draw((5, *shape))
    mean, std = (np.array(v, np.float32)[:, None, None] for v in normalise.values())
    net = load_run(run)[0]
    results = called(tmp_path / "own.c", x, 2, "own")
    np.testing.assert_allclose(results, computed(net, (x - mean) / std), atol=1e-5)
    assert self_test(tmp_path / "own.c", "OWN_SELF_TEST").returncode == 0


def test_int8_tells_the_accuracy_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_run(tmp_path / "run", "mlp", model_args={"hidden": [4]})
    said = exported(capsys, "--run", run, "--quantise", "int8", "--out", tmp_path / "net.c")
    net, config = load_run(run)
    _, test = load_sets(config)
    right = computed(net, test.images[:, None].astype(np.float32) / 255).argmax(1) == test.labels
    assert f"accuracy on 1,000 test pictures: float32 {right.mean():.4f}, int8 0." in said
    last = said.partition("int8 ")[2].split()[0]
    assert f"{right.mean():.4f} in float32, {last} in this file" in (tmp_path / "net.c").read_text()


def test_to_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    run = a_run(tmp_path / "run")
    said = exported(capsys, "--run", run, "--to", "onnx")
    assert "net.onnx" in said
    assert "input: (N, 1, 28, 28), pixels / 255" in said
    kept = {p.key: p.value for p in onnx.load(run / "net.onnx").metadata_props}
    assert json.loads(kept["classes"])[1] == "Trouser"


@pytest.mark.parity
def test_to_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    run = a_run(tmp_path / "run", normalise={"mean": [0.5], "std": [0.25]})
    assert "(pixels / 255 - [0.5]) / [0.25]" in exported(capsys, "--run", run, "--to", "torch")
    net = torch.load(run / "net.pt", weights_only=False)
    x = draw((4, 1, 28, 28))
    with torch.no_grad():
        theirs = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(theirs, computed(load_run(run)[0], x), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "2nd"], "--name: name is '2nd'; wanted a letter"),
        (["--to", "onnx", "--quantise", "int8"], "--quantise is for --to c alone"),
        (["--out", "nowhere/net.c"], "--out: nowhere/net.c: there is no folder nowhere"),
        (["--quantise", "int4"], "argument --quantise: invalid choice: 'int4'"),
        (["--quantise", "int8", "--data-dir", "gone"], "--data-dir: "),
        (["--data-dir", "."], "--data-dir is for --quantise int8 alone"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_option(
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run = a_run(tmp_path / "run", dataset="mnist")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        export.main(["--run", str(run), *options])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"python -m minicnn.export: error: {said}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_as_a_process(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "mlp", model_args={"hidden": [2]})
    command = [sys.executable, "-m", "minicnn.export", "--run", str(run)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (run / "net.c").is_file()


def test_a_net_of_ones_own(tmp_path: Path) -> None:
    made = export.to_c(nn.Conv2d(2, 3, 2), tmp_path / "a.c", image_shape=(2, 5, 4))
    assert made == export.Exported(tmp_path / "a.c", 4 * (3 * 2 * 2 * 2 + 3), 0, None)


@needs_a_compiler
def test_the_page_shows_the_code_that_is_written_and_a_program_that_runs(tmp_path: Path) -> None:
    made = export.to_c(
        models.lenet(), tmp_path / "net.c", classes=[f"class {k}" for k in range(10)]
    )
    page = (ROOT / "docs" / "export.md").read_text()
    interface, layer, program = re.findall(r"^```c\n(.*?)^```", page, re.M | re.S)
    code = made.path.read_text()
    assert interface in code
    assert layer in code
    (tmp_path / "program.c").write_text(program)
    done = subprocess.run([compiled(tmp_path / "program.c")], capture_output=True, text=True)
    assert re.fullmatch(r"class \d\n", done.stdout)
