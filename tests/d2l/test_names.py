"""The names of the book's helpers, and what is said of those that are not here."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, d2l, data, nn  # noqa: F401 (data, by its name in a message)
from minicnn.d2l.names import INSTEAD, SAME


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
