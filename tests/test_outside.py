"""Other people's tests, all of them: ``python -m tests.outside``; and whether it sees errors.

In a process of its own: PyTorch's test code changes PyTorch's settings when it is imported.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.parity

PROGRAM = """
from minicnn import nn, optim
from minicnn.nn import functional as F
from tests.outside import __main__ as outside, differences, opinfo, tally
from tests.outside.operations import OPERATIONS

print("status", outside.main([]))
print("overlooked", opinfo.overlooked())

print("-- wrong")
OPERATIONS["exp"] = lambda x: x.exp() * (1 + 1e-9)
OPERATIONS["sqrt"] = lambda x: (x.detach().sqrt() - x) + x
OPERATIONS["cat"] = lambda tensors, *args, **options: tensors[0]
OPERATIONS["add_"] = lambda a, b, alpha=1: a.add_(b)
OPERATIONS["nn.functional.max_pool2d"] = lambda x, *args, **options: F.max_pool2d(x, 2)
wrong = ["exp", "sqrt", "cat", "add_", "nn.functional.max_pool2d"]
print("status", outside.main(["operations", "--only", *wrong]))
nn.BatchNorm2d.count_batch = lambda self: None
nn.ZeroPad2d.forward = lambda self, x: F.pad(x, self.padding[::-1])
descend = optim.Adam.descend
optim.Adam.descend = lambda self, p, g, state, step: descend(self, p, g, state, step + 1)
optim.StepLR.get_lr = lambda self: self.optimizer.lr
nn.Softmax.forward = lambda self, x: F.softmax(x, 0)
differences.OPTIMIZERS += [tally.Difference("never", 2, "")]
print("status", outside.main(["modules", "optimizers"]))
print("status", outside.main(["onnx", "--only", "Softmax"]))
"""

SEEN = (
    r"^operations: exp\(.*\): value: ",
    r"^operations: sqrt\(.*\): gradient of input 0: ",
    r"^operations: nn\.functional\.max_pool2d\(.*: shape ",
    r"^operations: cat\(.*: computed; PyTorch refuses: ",
    r"^operations: add_\(.*: value: ",
    r"^modules: BatchNorm2d\(3\)\(float64\[2, 3, 6, 6\]\): input \d afterwards: ",
    r"^modules: ZeroPad2d\(.*: shape ",
    r"^modules: conformance\.md has another row for modules$",
    r"^optimizers: AdamW\(float64; \): step 1, parameter 0: ",
    r"^optimizers: SGD: StepLR: epoch 10: lr 0\.5; PyTorch: 0\.45$",
    r"^optimizers: 'never' describes 0 cases; listed are 2$",
    r"^onnx: Softmax \(.*: value: ",
    r"^status 1$",
)


def test_pytorchs_and_onnxs_own_cases_pass_and_wrong_results_are_seen() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    onnx = pytest.importorskip("onnx")
    if f"onnx {onnx.__version__}," not in (ROOT / "docs" / "conformance.md").read_text("utf-8"):
        pytest.skip(f"ONNX's cases are those of another version than {onnx.__version__}")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    right, wrong = done.stdout.split("-- wrong\n")
    assert "\n0 failures\nstatus 0\noverlooked []\n" in right, right
    for line in SEEN:
        assert re.search(line, wrong, re.M), wrong
    assert len(re.findall(r"^status 1$", wrong, re.M)) == 3, wrong
