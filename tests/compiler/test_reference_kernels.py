"""What compiling says where only the reference kernels may run."""

from __future__ import annotations

import pytest

import minicnn
from minicnn import kernels, nn

pytestmark = pytest.mark.usefixtures("share_the_least_work")


def test_the_reference_kernels_cannot_run_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_KERNELS", "reference")
    kernels.host_kernels.cache_clear()
    try:
        assert not minicnn.compiler.is_available()
        with pytest.raises(RuntimeError, match="the reference kernels are on"):
            minicnn.compile(nn.Linear(2, 2))
    finally:
        kernels.host_kernels.cache_clear()
