"""A few of PyTorch's own samples; all of them: ``python -m tests.outside.opinfo``.

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
from minicnn.nn import functional as F
from tests.outside import opinfo
from tests.outside.differences import Difference
from tests.outside.operations import OPERATIONS

print("status", opinfo.main(["--quick"]))
print("-- wrong")
OPERATIONS["exp"] = lambda x: x.exp() * (1 + 1e-9)
OPERATIONS["sqrt"] = lambda x: (x.detach().sqrt() - x) + x
OPERATIONS["cat"] = lambda tensors, *args, **options: tensors[0]
OPERATIONS["nn.functional.max_pool2d"] = lambda x, *args, **options: F.max_pool2d(x, 2)
print("status", opinfo.main(["exp", "sqrt", "cat", "nn.functional.max_pool2d", "--quick"]))
stale = [Difference("a", 2, ""), Difference("b", 1, "")]
print(*opinfo.stale(stale, opinfo.Counter(stale)), sep="\\n")
"""


SEEN = (
    r"^exp\(.*\): value: ",
    r"^sqrt\(.*\): gradient of input 0: ",
    r"^nn\.functional\.max_pool2d\(.*: shape ",
    r"^cat\(.*: computed; PyTorch refuses: ",
    r"'a' describes 1 samples; listed are 2$",
    r"^status 1$",
)


def test_pytorchs_own_samples_give_pytorchs_results_and_wrong_operations_are_seen() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    right, wrong = done.stdout.split("-- wrong\n")
    assert re.search(r", 0 failures\nstatus 0$", right.strip()), right
    assert re.search(r"^nn\.functional\.conv2d +\d samples +10 errors$", right, re.M), right
    for line in SEEN:
        assert re.search(line, wrong, re.M), wrong
    assert "'b'" not in wrong
