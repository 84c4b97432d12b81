"""Fixtures of the tests of training."""

from __future__ import annotations

import pytest

from minicnn import data


@pytest.fixture
def few() -> data.Dataset:
    return data.load("fashion-mnist-sample")[0][:300]
