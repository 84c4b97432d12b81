"""Facades come when they are asked for, and go again."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator

import pytest

from minicnn import d2l
from minicnn.d2l.facades.modules import Facade


@pytest.fixture(autouse=True)
def _all_is_put_back() -> Iterator[None]:
    before = dict(sys.modules)
    yield
    d2l.uninstall()
    ours = {"torch", "mxnet", "d2lzh", "d2l", "tensorflow"}
    kept = {name for name in sys.modules if name.partition(".")[0] in ours}
    assert kept == {name for name in before if name.partition(".")[0] in ours}


def test_another_framework_is_refused() -> None:
    with pytest.raises(
        ValueError, match="framework is 'jax'; wanted one of mxnet, pytorch, tensorflow"
    ):
        d2l.install("jax")


@pytest.mark.parametrize("framework", ["mxnet", "pytorch", "tensorflow"])
def test_a_real_package_is_refused_by_name(framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"pytorch": "torch"}.get(framework, framework)
    real = types.ModuleType(name)
    real.__version__ = "9.8"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, real)
    with pytest.raises(RuntimeError, match=f"the real {name} 9.8 is already imported"):
        d2l.install(framework)
    assert sys.modules[name] is real


def test_what_is_missing_is_named_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    d2l.install("mxnet")
    assert "now mean minicnn" in capsys.readouterr().out
    import mxnet

    with pytest.raises(
        AttributeError, match=r"mxnet\.gloun is not in minicnn's mxnet; it has gluon"
    ):
        _ = mxnet.gloun
    assert not hasattr(mxnet, "gloun")
    with pytest.raises(ImportError, match=r"mxnet\.gloun is not in minicnn's mxnet; it has gluon"):
        from mxnet import gloun  # noqa: F401
    with pytest.raises(ImportError, match=r"mxnet\.gloun is not in minicnn's mxnet; it has gluon"):
        importlib.import_module("mxnet.gloun")
    spec = importlib.util.find_spec("mxnet.gluon")
    assert spec is not None
    assert spec.origin == "minicnn.d2l"
    with pytest.raises(ImportError, match=r'call minicnn.d2l.install\("pytorch"\) first'):
        from d2l import torch  # noqa: F401


def test_of_a_single_framework_the_books_package_has_the_helpers() -> None:
    d2l.install("mxnet")
    import d2l as book

    assert book.Accumulator is book.mxnet.Accumulator
    d2l.install("tensorflow")
    import d2l as book

    assert not hasattr(book, "Accumulator")


def test_two_frameworks_side_by_side() -> None:
    d2l.install("mxnet")
    d2l.install("tensorflow")
    from d2l import mxnet as one
    from d2l import tensorflow as other

    assert one.Accumulator
    assert other.Accumulator


def test_of_many_names_the_nearest_are_listed() -> None:
    many = Facade("torch", "Names.", {f"name_{i}": i for i in range(30)})
    message = many.complaint("nane_17")
    assert message.startswith("torch.nane_17 is not in minicnn's torch; it has name_17, ")
    assert message.endswith(", ... dir(torch) lists all 30")
    assert message.count("name_") == 12
