"""``python -m minicnn.train --distributed``: the same job in each rank; the first one tells."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from minicnn import command
from minicnn.data import DataLoader
from minicnn.distributed import Ranks
from minicnn.train import config as config_file

# what may be another one on each machine
OF_A_MACHINE = ("threads", "data_dir", "options")


def run_together(
    options: argparse.Namespace, run: Callable[[argparse.Namespace, Ranks], int]
) -> int:
    """Run the job in this rank; the exit status. A rank that fails ends all of them."""
    _check(options)
    with Ranks(options.rank_timeout) as ranks:
        try:
            options.device = "cpu"
            if not _has_threads(options, ranks):
                options.threads = ranks.threads()
            with heard_if(ranks.rank == 0):
                status = run(options, ranks)
        except command.MISTAKES as error:
            ranks.end(f"python -m minicnn.train: error: {command.in_a_line(error)}", 2)
        if status == 130:
            ranks.end_interrupted()
        return status


def _check(options: argparse.Namespace) -> None:
    """Refuse what ranks cannot share.

    Raises:
        ValueError: with the option.
    """
    if options.device.startswith("gpu"):
        raise ValueError(f"--device: {options.device}; with --distributed wanted cpu")
    if options.batch_norm:
        raise ValueError(
            "--batch-norm: its mean is that of the whole batch, of which each rank has a share; "
            "wanted none with --distributed"
        )


def _has_threads(options: argparse.Namespace, ranks: Ranks) -> bool:
    """Whether the threads were typed, or are those of a run that had the same number of ranks."""
    if options.threads is None or options.resume is None:
        return options.threads is not None
    config = config_file.read(options.resume / "config.json")
    return bool(config.get("ranks") == ranks.size)


@contextlib.contextmanager
def heard_if(is_heard: bool) -> Iterator[None]:
    """Inside, nothing is printed, unless this rank is to be heard. What is raised gets out."""
    if is_heard:
        yield
        return
    nobody = io.StringIO()
    with contextlib.redirect_stdout(nobody), contextlib.redirect_stderr(nobody):
        yield


def check_jobs_alike(
    ranks: Ranks, config: dict[str, Any], train: DataLoader, test: DataLoader
) -> None:
    """Refuse ranks with other options, versions or pictures, before anything is written."""
    facts = {name: value for name, value in config.items() if name not in OF_A_MACHINE}
    options = {k: v for k, v in config["options"].items() if k not in OF_A_MACHINE}
    ranks.check_alike(
        {
            **options,
            **facts,
            "the training pictures": train.dataset.digest,
            "the test pictures": test.dataset.digest,
        },
        "the comparison of data, options and versions",
    )
