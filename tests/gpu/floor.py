"""What the kernels of a compiled step cost by their own instructions, counted without a GPU.

    python -m tests.gpu.floor --model lenet
    python -m tests.gpu.floor --kernel conv_forward  # its instructions, each with its count

No step can be faster than its instructions are issued: each of a multiprocessor's four schedulers
issues one a cycle, for one warp. The figures of the chip are those of an H200. Left out are waiting
for memory and for each other, instructions that take more than a cycle, and the gaps between
kernels.

SASS, FFMA, memory: all instructions that a warp issues, multiply-adds, and those that read or write
memory. Per multiply-add: instructions of a thread for each multiply-add that the plan counts.
Waves: how often the multiprocessors are filled with the launch's blocks. Banks: how long the 32
banks of each shared memory are busy, a word a cycle. Issue: how long the schedulers are; in both
columns all multiprocessors have the same to do. Busiest: the longer of the two for the one that
gets the most blocks, and for its scheduler that gets the most warps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import prod

from benchmarks.tables import as_text, number
from minicnn.models import PRESETS
from minicnn.train.recipe import RECIPES
from tests.gpu.sass.assembly import nvdisasm
from tests.gpu.sass.launches import MOST_ISSUED, Counted, counted, of_step

MULTIPROCESSORS, SCHEDULERS, MEGAHERTZ = 132, 4, 1980
# of a multiprocessor
MOST_THREADS, MOST_BLOCKS, REGISTERS, SHARED = 2048, 32, 65_536, 228 * 1024
SHARED_OF_SYSTEM = 1024  # bytes a block
EVERY = 1e15  # instructions
ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
HEAD = [
    "kernel", "what", "blocks", "warps", "SASS", "FFMA", "memory", "per multiply-add", "registers",
    "shared", "spilled", "waves", "banks us", "issue us", "busiest us",
]  # fmt: skip
MEMORY = ("LDG", "STG", "LDS", "STS", "LDL", "STL", "ATOMG", "ATOMS", "RED")


def microseconds(count: Counted) -> float:
    """What it takes to issue all instructions of a launch."""
    return count.all_instructions / (MULTIPROCESSORS * SCHEDULERS * MEGAHERTZ)


def of_banks(count: Counted) -> float:
    """What it takes the banks of shared memory to serve all of a launch, in us."""
    cycles = float(count.cycles_of_banks.sum()) * count.launch.warps
    return cycles / (MULTIPROCESSORS * MEGAHERTZ)


def busiest(count: Counted) -> float:
    """What the multiprocessor with the most blocks takes, in us: a scheduler of it, or its banks.

    A warp stays with one scheduler. All warps are taken to issue as much as they do in the mean.
    """
    warps = -(-prod(count.launch.grid) // MULTIPROCESSORS) * count.launch.warps_of_block
    to_issue = -(-warps // SCHEDULERS) * count.instructions
    return max(to_issue, warps * float(count.cycles_of_banks.sum())) / MEGAHERTZ


def waves(count: Counted) -> float:
    """How often the multiprocessors are filled with the launch's blocks."""
    kernel, threads = count.kernel, prod(count.launch.block)
    registers = -(-kernel.registers // 8) * 8 * threads
    shared = count.shared + SHARED_OF_SYSTEM
    fit = min(MOST_THREADS // threads, MOST_BLOCKS, REGISTERS // registers, SHARED // shared)
    return prod(count.launch.grid) / (fit * MULTIPROCESSORS)


def summary(counts: Sequence[Counted]) -> str:
    """What all launches take."""
    to_issue = sum(map(microseconds, counts))
    on_busiest = sum(map(busiest, counts))
    return (
        f"{len(counts)} launches, {to_issue:.1f} us to issue; {on_busiest:.1f} us where each "
        "launch's busiest multiprocessor counts"
    )


def row(count: Counted) -> list[str]:
    """A line of the table."""
    kernel, launch = count.kernel, count.launch
    return [
        launch.name + "*" * bool(count.doubtful),
        launch.what,
        f"{prod(launch.grid):,}",
        f"{launch.warps:,}",
        f"{count.instructions:,.0f}",
        f"{count.of('FFMA', 'FFMA2'):,.0f}",
        f"{count.of(*MEMORY):,.0f}",
        number(count.per_multiply_add),
        str(kernel.registers),
        f"{count.shared:,}",
        str(kernel.spilled),
        f"{waves(count):.2f}",
        f"{of_banks(count):.2f}",
        f"{microseconds(count):.2f}",
        f"{busiest(count):.2f}",
    ]


def loops(count: Counted) -> list[tuple[int, int]]:
    """The first and the last instruction of each loop."""
    kernel = count.kernel
    jumps = [(at, i) for at, i in enumerate(kernel.instructions) if i.op == "BRA"]
    ranges = [(kernel.labels[i.operands[-1].text], at) for at, i in jumps]
    return sorted((to, at) for to, at in ranges if to <= at and count.per_warp[at])


def table_of_loops(count: Counted) -> list[list[str]]:
    """What a warp issues in each loop, those within it counted too."""
    rows = [["loop", "rounds", "SASS", "FFMA", "memory", "SASS per FFMA", "share"]]
    for first, last in loops(count):
        issued = [count.within(first, last, *ops) for ops in ((), ("FFMA", "FFMA2"), MEMORY)]
        rows.append([
            f"{first} to {last}",
            f"{count.per_warp[last]:,.1f}",
            *(f"{n:,.0f}" for n in issued),
            number(issued[0] / issued[1] if issued[1] else None),
            f"{issued[0] / count.instructions:.0%}",
        ])  # fmt: skip
    return rows


def listing(count: Counted) -> str:
    """A kernel's loops and its instructions, and how often a warp issues each."""
    marks = {at: name for name, at in count.kernel.labels.items()}
    lines = [f"{count.launch.name}, {count.launch.what}", as_text(table_of_loops(count)), ""]
    for at, (instruction, times) in enumerate(
        zip(count.kernel.instructions, count.per_warp, strict=True)
    ):
        if at in marks:
            lines.append(f"{marks[at]}:")
        lines.append(
            f"{at:5}{times:10.1f}  {'*' if at in count.doubtful else ' '} {instruction.text}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or a kernel's listing for each of its launches."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu.floor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="lenet", choices=list(PRESETS))
    parser.add_argument("--batch", type=int, help="images (default: as the model is trained)")
    parser.add_argument("--arch", default="sm_90", help="(default: %(default)s)")
    parser.add_argument("--kernel", help="list the instructions of this one's launches")
    parser.add_argument("--every", action="store_true", help="every warp, not a sample")
    options = parser.parse_args(arguments)
    batch = RECIPES[options.model].batch_size if options.batch is None else options.batch
    if nvdisasm() is None:
        parser.error("nvdisasm is not installed; pip install '.[gpu-check]'")
    if options.arch not in ARCHITECTURES:
        parser.error(f"--arch is {options.arch!r}; wanted one of {', '.join(ARCHITECTURES)}")
    if batch < 1:
        parser.error(f"--batch is {batch}; wanted a number of images from 1 on")
    launches = of_step(options.model, batch)
    names = list(dict.fromkeys(launch.name for launch in launches))
    if options.kernel not in (None, *names):
        parser.error(f"--kernel is {options.kernel!r}; this step has {', '.join(names)}")
    most = EVERY if options.every else MOST_ISSUED
    wanted = [launch for launch in launches if options.kernel in (None, launch.name)]
    counts = [counted(launch, options.arch, most) for launch in wanted]
    if options.kernel:
        print("\n\n".join(listing(count) for count in counts))
        return
    print(as_text([HEAD, *map(row, counts)]))
    print(f"{options.model}, batches of {batch}, {options.arch}: {summary(counts)}")
    if any(count.doubtful for count in counts):
        print("* branches on what was computed: half of a warp's threads are taken to go each way")


if __name__ == "__main__":
    main()
