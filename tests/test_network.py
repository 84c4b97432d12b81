"""The rule that tests use no network, and that a test which tries is told."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests import network

ELSEWHERE = "192.0.2.1"  # an address that is nobody's (RFC 5737)


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection((ELSEWHERE, 80), timeout=1),
        lambda: socket.socket().connect_ex((ELSEWHERE, 80)),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", (ELSEWHERE, 80)),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", 0, (ELSEWHERE, 80)),
        lambda: socket.getaddrinfo("data.example", 80),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_other_machines_are_refused_and_a_test_that_tried_fails(reach: Any) -> None:
    with pytest.raises(pytest.fail.Exception, match="wanted to reach"), network.unused():  # noqa: SIM117
        with pytest.raises(ConnectionRefusedError, match="tests use no network"):
            reach()
    network.attempts.clear()


def test_this_machine_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    assert socket.getaddrinfo("localhost", 80)
    assert network.attempts == []
