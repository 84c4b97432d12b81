"""Dask: a cluster of this machine's cores, or one that is running already."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from minicnn.command import in_a_line
from minicnn.kernels.interrupts import held

PATIENCE = "20s"  # for a scheduler to answer
SETTINGS = {
    # A worker has the run that it does and no other: when a process dies, Dask counts that against
    # every task that it had, begun or not, and gives a task up at the fourth time.
    "distributed.scheduler.worker-saturation": 1.0,
    # While kernels compile, or the machine is busy, a worker may not be heard of for minutes. When
    # its process ends, its nanny knows.
    "distributed.scheduler.worker-ttl": None,
}


def check_installed() -> None:
    """Raise an ImportError that says what to install, unless Dask is there."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{error.name} is not installed; a sweep needs the extra dask: pip install '.[dask]'"
        ) from error


def check_address(address: str) -> None:
    """Refuse what is no address of a scheduler.

    Raises:
        ValueError: no host, no port, or a protocol that Dask does not have.
    """
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    try:
        scheme, place = parse_address(address)
        get_backend(scheme)
        if scheme != "inproc":
            parse_host_port(place)
    except (ValueError, RuntimeError):
        told = f"{address!r}; wanted an address like tcp://10.0.0.1:8786"
        raise ValueError(told) from None


@contextlib.contextmanager
def client_of(scheduler: str | None, workers: int) -> Iterator[Any]:
    """A client of the scheduler at this address; of None of a cluster of our own, which ends with
    it.

    Raises:
        OSError, ValueError: nothing answers there, or it is no address.
    """
    from distributed import Client

    with contextlib.ExitStack() as stack:
        for name in ("distributed", "distributed.client"):  # the command says it itself
            stack.enter_context(_silent(name))
        try:
            with held():  # a Ctrl-C while processes start
                address = scheduler or stack.enter_context(_local(workers))
                client = stack.enter_context(Client(address, timeout=PATIENCE))
        except RuntimeError as error:  # Dask's, of a worker that does not start
            raise ConnectionError(in_a_line(error)) from error
        yield client


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Inside, the logger of this name says next to nothing."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def _local(workers: int) -> Iterator[Any]:
    """A LocalCluster of processes that do one task at a time."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",  # of all sweeps' the first would get the usual port
            silence_logs=logging.CRITICAL,
            preload=["minicnn.sweep.work"],
        ) as cluster,
    ):
        yield cluster


def workers_of(client: Any) -> dict[str, str]:
    """The addresses of the workers that are there, and their machines."""
    # not client.scheduler_info: now and then it has no workers (findings/dask-scheduler-info.sh)
    return {address: host_of(address) for address in client.nthreads()}


def host_of(address: str) -> str:
    """The machine in an address: 10.0.0.3 in tcp://10.0.0.3:4567."""
    from distributed.comm.addressing import get_address_host

    host: str = get_address_host(address)
    return host


def under_way(client: Any) -> set[str]:
    """The keys of the tasks that workers are doing at this moment."""
    return {key for stacks in client.call_stack().values() for key in stacks}


def versions_of(client: Any) -> dict[str, Any]:
    """What each worker computes with, by its address; an exception where it cannot tell."""
    from minicnn.sweep.work import versions

    return client.run(versions, on_error="return")
