"""The parts of the proof, in the order in which they run: the most telling first."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu_proof import counters, measures, rivals
from benchmarks.gpu_proof.running import Part, last_line
from benchmarks.gpu_proof.sizes import SMALL, Sizes

MODELS = ("lenet", "lenet-max")  # that benchmarks/torch_lenet.py has too
EPOCHS = {  # by the parts' names: "lenet-torch-graph-TF32"
    f"{model} {side}".replace(",", "").replace(" ", "-"): (model, side)
    for model in MODELS
    for side in (*measures.OURS, *rivals.SIDES)
}
MEASURES: dict[str, Callable[[Sizes], dict[str, Any]]] = {
    "machine": measures.machine,
    "repeat": measures.repeat,
    "replays": measures.replays,
    "kernels": measures.kernels,
    "small": measures.small,
    "profiled": measures.profiled,
    "ncu": counters.counters,
    **{
        name: partial(measures.epochs, model=model, side=side)
        for name, (model, side) in EPOCHS.items()
    },
}


def parts(sizes: Sizes, folder: Path) -> list[Part]:
    """All parts; what they write besides their output goes to ``folder``."""
    both = [epochs(name, *EPOCHS[name], sizes) for name in EPOCHS]
    # minicnn's own; PyTorch's come last, for they take long and check nothing
    ours, others = ([p for p in both if p.rival is rival] for rival in (False, True))
    todo = [
        measured("machine", "the machine and its versions", 60, sizes),
        selfcheck(),
        measured("repeat", "two runs, and the CPU's losses", 90, sizes),
        measured("replays", "the time of a step", 60, sizes),
        measured("kernels", "the time of each kernel", 60, sizes),
        train(sizes, folder),
        *ours,
        sanitizer("memcheck", sizes),
        sanitizer("racecheck", sizes),
        measured("ncu", "the hardware's counters", 90, sizes, tools=("ncu",)),
        tests("gpu-tests", "the GPU path's tests, on this GPU", *sizes.gpu_tests),
        tests("suite", "the engine's tests, every tensor on the GPU",
              "-p", "tests.gpu.on_device", *sizes.tests),
        *others,
    ]  # fmt: skip
    return [replace(part, seconds=part.seconds * sizes.patience) for part in todo]


def command_of(name: str, sizes: Sizes) -> tuple[str, ...]:
    """What runs a function of ``MEASURES`` in a process of its own."""
    small = ("--small",) if sizes is SMALL else ()
    return (sys.executable, "-m", "benchmarks.gpu_proof", "--part", name, *small)


def measured(name: str, about: str, seconds: int, sizes: Sizes, **needs: Any) -> Part:
    """One of ``MEASURES``."""
    return Part(name, about, seconds, command_of(name, sizes), **needs)


def epochs(name: str, model: str, side: str, sizes: Sizes) -> Part:
    """The epochs of one side; a compiler of PyTorch's takes its time."""
    rival = side in rivals.SIDES
    seconds, packages = (90 if "compile" in side else 40), (("torch",) if rival else ())
    about = f"training {model}: {side}"
    return measured(name, about, seconds, sizes, packages=packages, rival=rival)


def selfcheck() -> Part:
    """``python -m minicnn.selfcheck``."""
    command = (sys.executable, "-m", "minicnn.selfcheck", "--device", "gpu")
    about = "every kernel and a step against the reference"
    return Part("selfcheck", about, 120, command, said=of_selfcheck)


def train(sizes: Sizes, folder: Path) -> Part:
    """``python -m minicnn.train``, as a user types it."""
    command = (sys.executable, "-m", "minicnn.train", "--device", "gpu", "--epochs", "2")
    command += ("--dataset", "fashion-mnist-sample", "--out", str(folder / "run"))
    command += ("--model", "mlp", "--hidden", "8") if sizes is SMALL else ()
    needs = ("safetensors", "tqdm")
    return Part("train", "the command line", 60, command, packages=needs, said=of_train)


def sanitizer(tool: str, sizes: Sizes) -> Part:
    """One of NVIDIA's checkers of memory."""
    command = ("compute-sanitizer", "--tool", tool, "--error-exitcode", "9")
    about = f"{tool} of every kernel, without CuPy's pool"
    command += command_of("small", sizes)
    return Part(tool, about, 120, command, tools=command[:1], said=of_sanitizer)


def tests(name: str, about: str, *arguments: str) -> Part:
    """Tests, with ``MINICNN_ON`` set to the GPU unless it is set already."""
    workers = str(min(12, os.cpu_count() or 1))
    command = (sys.executable, "-m", "pytest", "-q", "-n", workers, "--maxprocesses", workers)
    command += ("--continue-on-collection-errors",)
    on = {"MINICNN_ON": os.environ.get("MINICNN_ON", "gpu")}
    needs = ("pytest", "xdist")
    return Part(
        name, about, 240, (*command, *arguments), packages=needs, environment=on, said=of_pytest
    )


# What their output says ---------------------------------------------------------------------------


def of_selfcheck(text: str) -> str:
    """How many of its lines say OK, and its last one."""
    checks = sum(line.endswith(" OK") for line in text.splitlines())
    return f"{checks} checks; {last_line(text)}"


def of_train(text: str) -> str:
    """Its speed."""
    return _last(r"[\d,]+ examples/sec", text)


def of_sanitizer(text: str) -> str:
    """Its summary."""
    return _last(r"[A-Z ]*SUMMARY: .*", text)


def of_pytest(text: str) -> str:
    """Its numbers of tests."""
    return _last(r"\d+ (passed|failed|error|skipped|deselected).* in [\d.]+s", text)


def _last(pattern: str, text: str) -> str:
    found = [match[0] for match in re.finditer(pattern, text)]
    return found[-1].strip() if found else last_line(text)
