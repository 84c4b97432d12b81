"""Hosts of one's own: what a cable carries, what a cut does, and that nothing is left."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .network import Host, Network, ip

SERVE = """if True:
    import socket
    server = socket.create_server(("0.0.0.0", 5000))
    while True:
        connection, _ = server.accept()
        connection.sendall(socket.gethostname().encode() * 100_000)
        connection.close()
"""
ASK = """if True:
    import socket, sys, time
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        try:
            with socket.create_connection((sys.argv[1], 5000), 0.5) as connection:
                print(socket.gethostname(), connection.makefile().read()[-1])
            break
        except OSError:
            time.sleep(0.02)
"""


def ask(host: Host, address: str, patience: float = 10) -> str:
    """Who answers at this address, asked from that host; nothing where nobody does."""
    words = host.command(sys.executable, "-c", ASK, address, str(patience))
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_cut_cable_carries_nothing_until_it_is_mended(network: Network, tmp_path: Path) -> None:
    a, b = network["a"], network["b"]
    b.start(sys.executable, "-c", SERVE, out=tmp_path / "b")
    assert ask(a, b.address) == "a b\n"
    before = a.received()
    assert before > 100_000, "it came by the cable"
    b.cut()
    assert ask(a, b.address, patience=1) == ""
    assert ask(b, "127.0.0.1") == "b b\n", "the host itself goes on"
    assert a.received() - before < 20_000, "but for greetings of the kernels"
    b.mend()
    assert ask(a, b.address) == "a b\n"


def start_two_and_fail(host: Host, out: Path) -> None:
    host.start("sh", "-c", "sleep 100 & wait", out=out)
    while len(host.processes()) < 2:
        pass
    raise ZeroDivisionError


def test_nothing_is_left_after_a_failure(hosts_are_possible: None, tmp_path: Path) -> None:
    network = Network("a")
    with pytest.raises(ZeroDivisionError), network:
        start_two_and_fail(network["a"], tmp_path / "out")
    assert [process.poll() for process in network["a"].started] == [-signal.SIGKILL]
    assert network.tag not in ip("netns", "list")


def test_two_networks_do_not_meet(network: Network, tmp_path: Path) -> None:
    with Network("a", "b") as other:
        other["b"].start(sys.executable, "-c", SERVE, out=tmp_path / "out")
        assert ask(other["a"], "10.0.0.2") == "a b\n"
        assert ask(network["a"], "10.0.0.2", patience=0.5) == ""


def test_the_machine_keeps_its_own_name(network: Network) -> None:
    said = subprocess.run(network["c"].command("hostname"), capture_output=True, text=True)
    assert said.stdout == "c\n"
    assert socket.gethostname() != "c"
