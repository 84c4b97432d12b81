"""The PyTorch tab's cells: the real torch's losses, other libraries, coming and going."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SHAPES = [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]


def python(*arguments: str, **options: Any) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, **options
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parity
def test_a_hundred_steps_have_the_losses_of_the_real_torch_which_came_back(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    arrays = []
    for shape in SHAPES:
        bound = (6 / (np.prod(shape[1:]) + shape[0] * np.prod(shape[2:]))) ** 0.5
        arrays += [rng.uniform(-bound, bound, shape), rng.uniform(-0.2, 0.2, shape[0])]
    np.savez(tmp_path / "weights.npz", *(a.astype(np.float32) for a in arrays))
    real, own = (
        json.loads(
            python("-m", "tests.d2l.torch_tab", mode, str(tmp_path / "weights.npz"), "100")
            .strip()
            .splitlines()[-1]
        )
        for mode in ("real", "ours")
    )
    assert (own.pop("is_ours"), real.pop("is_ours")) == (True, False)
    assert own.pop("refusal") == ""
    assert 'install("pytorch"): the real torch 2' in real.pop("refusal")
    assert len(own["losses"]) == 100
    assert own["losses"][0] > own["losses"][99]
    np.testing.assert_allclose(own.pop("losses"), real.pop("losses"), rtol=0, atol=1e-5)
    assert own == real  # shapes as they are printed, correct predictions, shares, devices


LIBRARIES = """
import sys
from minicnn import d2l as ours
ours.install("pytorch")
import torch
import numpy as np
import matplotlib
matplotlib.use("agg")
from matplotlib import pyplot
import scipy.interpolate, scipy.optimize
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from d2l import torch as d2l

assert type(torch).__module__ == "minicnn.d2l.facades.modules"
x = torch.linspace(0, 4, 9)
y = 3 * torch.exp(-x) + 1
line, = pyplot.plot(x, y, label="curve")
pyplot.scatter(x, y, c=y)
pyplot.imshow(y.reshape(3, 3))
pyplot.hist(y)
pyplot.bar(x, y)
np.testing.assert_allclose(line.get_ydata(), y.numpy())
assert d2l.plt is pyplot
(a, b, c), _ = scipy.optimize.curve_fit(lambda x, a, b, c: a * np.exp(-b * x) + c, x, y)
np.testing.assert_allclose((a, b, c), (3, 1, 1), atol=1e-4)
np.testing.assert_allclose(scipy.interpolate.interp1d(x, y)(0.25), (y[0] + y[1]) / 2, atol=1e-5)
X = torch.cat([torch.randn(20, 2), torch.randn(20, 2) + 9])
labels = torch.tensor([0] * 20 + [1] * 20)
assert LogisticRegression().fit(X, labels).score(X, labels) == 1
assert len(set(KMeans(2, n_init=2).fit_predict(X)[:20].tolist())) == 1
"""


def test_other_libraries_take_its_tensors() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    python("-c", LIBRARIES)
