"""Tests use no network: what leads out of this machine is refused, and fails the test that tried.

Programs that tests start are not watched: those that load data name where they lie.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

attempts: list[str] = []  # to reach other machines, in the present test


def is_here(host: object) -> bool:
    """Whether an address or a name is this machine's (or none of the internet's at all)."""
    if not isinstance(host, str) or host in ("", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse(host: object) -> None:
    """Note the attempt, and raise what a machine without a network would."""
    attempts.append(str(host))
    raise ConnectionRefusedError(f"tests use no network, not {host}")


def watched(connect: Callable[..., Any]) -> Callable[..., Any]:
    """A method of sockets that takes an address. To connect a datagram socket sends nothing."""

    @functools.wraps(connect)
    def to_this_machine(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[-1]
        sends = self.type != socket.SOCK_DGRAM or connect.__name__ == "sendto"
        if isinstance(address, tuple) and sends and not is_here(address[0]):
            refuse(address[0])
        return connect(self, *arguments)

    return to_this_machine


def watched_lookup(look_up: Callable[..., Any]) -> Callable[..., Any]:
    """``getaddrinfo``, which asks nobody for a number's name."""

    @functools.wraps(look_up)
    def of_this_machine(host: Any, *arguments: Any, **named: Any) -> Any:
        if not is_here(host) and not _is_number(host):
            refuse(host)
        return look_up(host, *arguments, **named)

    return of_this_machine


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def watch() -> None:
    """From now on, in this process."""
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, watched(getattr(socket.socket, name)))
    setattr(socket, "getaddrinfo", watched_lookup(socket.getaddrinfo))  # noqa: B010 (typed)


@contextmanager
def unused() -> Iterator[None]:
    """What is inside fails if it tried to reach others, whatever it made of the refusal."""
    attempts.clear()
    yield
    if attempts:
        pytest.fail(f"the test wanted to reach {', '.join(attempts)}")
