"""How many instructions each kernel of the LeNets' steps may take.

``python -m tests.gpu.budget`` counts them and writes ``budget.json``, and the table in
``docs/gpu.md``. A kernel that has become slower by its own instructions fails ``test_budget.py``;
who has made one faster, or means it to be slower, writes the files again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from math import prod
from pathlib import Path
from typing import NamedTuple

from minicnn.files import write_whole
from minicnn.train.recipe import RECIPES
from tests.gpu.floor import MEGAHERTZ, MULTIPROCESSORS, SCHEDULERS, busiest, microseconds
from tests.gpu.sass.launches import Counted, counted, of_step

FILE = Path(__file__).with_name("budget.json")
PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"
HEAD = (
    "| net | images | launches | instructions, millions | us to issue | us, busiest |\n"
    "|---|---|---|---|---|---|\n"
)
MODELS = ("lenet", "lenet-max", "lenet-plus")
ARCHITECTURE = "sm_90"


class Cost(NamedTuple):
    """What a launch takes.

    Attributes:
        instructions: that a warp issues, in the mean.
        us: what it takes an H200 to issue those of all warps.
        busiest: what the multiprocessor takes that gets the most blocks, in us.
        registers: of a thread.
    """

    blocks: int
    instructions: int
    us: float
    busiest: float
    registers: int


def counts_of(model: str) -> list[Counted]:
    """The launches of a model's step, as it is trained."""
    return [counted(one, ARCHITECTURE) for one in of_step(model, RECIPES[model].batch_size)]


def costs_of(counts: list[Counted]) -> dict[str, Cost]:
    """What each launch costs, by its kernel and shapes; equal ones are numbered."""
    seen: Counter[str] = Counter()
    costs = {}
    for count in counts:
        name = f"{count.launch.name}, {count.launch.what}"
        seen[name] += 1
        key = name if seen[name] == 1 else f"{name}, {seen[name]}"
        us, longest = round(microseconds(count), 3), round(busiest(count), 3)
        blocks, instructions = prod(count.launch.grid), round(count.instructions)
        costs[key] = Cost(blocks, instructions, us, longest, count.kernel.registers)
    return costs


def read() -> dict[str, dict[str, Cost]]:
    """The budget of each model."""
    return {
        model: {name: Cost(*cost) for name, cost in costs.items()}
        for model, costs in json.loads(FILE.read_text()).items()
    }


def as_json(budget: dict[str, dict[str, Cost]]) -> str:
    """A line for each launch."""
    models = []
    for model, costs in budget.items():
        lines = [f"    {json.dumps(name)}: {json.dumps(cost)}" for name, cost in costs.items()]
        models.append(f"  {json.dumps(model)}: {{\n" + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(models) + "\n}\n"


def page_with(budget: dict[str, dict[str, Cost]], page: str) -> str:
    """``docs/gpu.md`` with a row for each model in its table."""
    rows = ""
    for model, costs in budget.items():
        us = sum(cost.us for cost in costs.values())
        longest = sum(cost.busiest for cost in costs.values())
        issued = us * MULTIPROCESSORS * SCHEDULERS * MEGAHERTZ / 1e6
        cells = f"`{model}`", RECIPES[model].batch_size, len(costs), f"{issued:.1f}"
        rows += f"| {' | '.join(map(str, cells))} | {us:.1f} | {longest:.1f} |\n"
    return re.sub(re.escape(HEAD) + r"(\|.*\n)*", HEAD + rows, page)


def main() -> None:
    """Write what the kernels take now."""
    budget = {model: costs_of(counts_of(model)) for model in MODELS}
    write_whole(FILE, as_json(budget))
    write_whole(PAGE, page_with(budget, PAGE.read_text()))
    print(f"written to {FILE.name} and {PAGE.name}")


if __name__ == "__main__":
    main()
