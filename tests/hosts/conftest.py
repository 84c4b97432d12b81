"""A network of three hosts, for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .network import Network, what_is_missing


@pytest.fixture(scope="session")
def hosts_are_possible() -> None:
    """Skips, by name, where this machine makes no hosts."""
    if missing := what_is_missing():
        pytest.skip(missing)


@pytest.fixture
def network(hosts_are_possible: None) -> Iterator[Network]:
    with Network("a", "b", "c") as network:
        yield network
