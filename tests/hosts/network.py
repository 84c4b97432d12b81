"""Hosts of one's own on one machine: network namespaces, with cables to a switch between them.

    with Network("a", "b") as network:
        network["a"].start("python", "-m", "http.server")
        network["b"].cut()

A host has its own name, its own addresses and its own loopback; files and processes it shares with
the machine, as a cluster's nodes share a file system. A cable is a veth pair: one end is the host's
``eth0``, the other is in the switch, which is a namespace too, with a bridge. Needs Linux, root,
``ip`` (iproute2) and ``unshare`` (util-linux). A network is removed at the end of ``with``; when
the tests are killed it stays: namespaces named minicnn-..., for ``ip netns delete``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self


def what_is_missing() -> str | None:
    """Why there can be no hosts here, in words; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts of one's own need Linux, and root"
    for tool in ("ip", "unshare"):
        if shutil.which(tool) is None:
            return f"hosts of one's own need {tool!r} (Debian: iproute2, util-linux)"
    try:
        with Network("a") as network:
            output(network["a"].command("true"))
    except RuntimeError as error:
        return f"no hosts of one's own here: {error}"
    return None


def output(words: list[str]) -> str:
    """What a command prints; its complaint as an exception."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def ip(*words: str) -> str:
    """What ``ip`` prints."""
    return output(["ip", *words])


class Host:
    """A namespace with its own name and address; ``start`` runs a program in it."""

    def __init__(self, name: str, space: str, address: str, switch: str) -> None:
        self.name, self.space, self.address, self.switch = name, space, address, switch
        self.started: list[subprocess.Popen[str]] = []

    def command(self, *words: str) -> list[str]:
        """The command that runs these words in this host, in one process from first to last."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh"]
        return ["ip", "netns", "exec", self.space, *named, *words]

    def start(self, *words: str, out: Path, **settings: Any) -> subprocess.Popen[str]:
        """Start a program; what it prints goes to the file ``out``."""
        with out.open("w") as file:
            process = subprocess.Popen(
                self.command(*words), stdout=file, stderr=subprocess.STDOUT, text=True, **settings
            )
        self.started.append(process)
        return process

    def cut(self) -> None:
        """Cut the cable: nothing goes in or out, and no program is told."""
        ip("-n", self.switch, "link", "set", "dev", self.name, "down")

    def mend(self) -> None:
        ip("-n", self.switch, "link", "set", "dev", self.name, "up")

    def received(self) -> int:
        """Bytes that came in by the cable."""
        counter = "/sys/class/net/eth0/statistics/rx_bytes"
        return int(ip("netns", "exec", self.space, "cat", counter))

    def processes(self) -> list[int]:
        """The ids of all that runs here, whoever started it."""
        return [int(number) for number in ip("netns", "pids", self.space).split()]

    def opened(self) -> Iterator[Path]:
        """The files and folders that programs have open here."""
        for number in self.processes():
            with contextlib.suppress(FileNotFoundError):  # it has ended
                yield from (handle.resolve() for handle in Path(f"/proc/{number}/fd").iterdir())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all that runs here."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def end(self) -> None:
        """End all that runs here, and what has not arrived here yet."""
        for process in self.started:
            process.kill()
            process.wait()
        while self.processes():
            self.signal(signal.SIGKILL)
            time.sleep(0.02)


class Network:
    """Hosts with these names (short ones: each is a cable's name too), all on one switch."""

    def __init__(self, *names: str) -> None:
        self.tag = f"minicnn-{uuid.uuid4().hex[:8]}"  # two runs of the tests have each their own
        self.switch = f"{self.tag}-switch"
        self.hosts = {
            name: Host(name, f"{self.tag}-{name}", f"10.0.0.{number}", self.switch)
            for number, name in enumerate(names, 1)
        }

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __enter__(self) -> Self:
        try:
            self.build()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def build(self) -> None:
        """Plug each host in."""
        self.add(self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "dev", "bridge", "up")
        for host in self.hosts.values():
            self.add(host.space)
            cable = ("type", "veth", "peer", "name", host.name, "netns", self.switch)
            ip("link", "add", "eth0", "netns", host.space, *cable)
            ip("-n", self.switch, "link", "set", "dev", host.name, "master", "bridge", "up")
            ip("-n", host.space, "address", "add", f"{host.address}/24", "dev", "eth0")
            ip("-n", host.space, "link", "set", "dev", "eth0", "up")

    def add(self, space: str) -> None:
        """A namespace, with a loopback."""
        ip("netns", "add", space)
        ip("-n", space, "link", "set", "dev", "lo", "up")

    def remove(self) -> None:
        """End what runs in the hosts, and remove them; a cable goes with its ends."""
        there = {line.split()[0] for line in ip("netns", "list").splitlines()}
        for host in self.hosts.values():
            if host.space in there:
                host.end()
        for space in there & {self.switch, *(host.space for host in self.hosts.values())}:
            ip("netns", "delete", space)


def wait_until(is_so: Callable[[], object], seconds: float, out: Path) -> None:
    """Look again and again; after too many seconds fail, with what a program has printed."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"not so after {seconds:g} seconds; printed:\n{out.read_text()}")
        time.sleep(0.02)
