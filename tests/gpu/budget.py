"""How many instructions each kernel of the LeNets' steps may take.

``python -m tests.gpu.budget`` counts them and writes ``budget.json``. A kernel that has become
slower by its own instructions fails ``test_budget.py``; who has made one faster, or means it to be
slower, writes the file again.
"""

from __future__ import annotations

import json
from collections import Counter
from math import prod
from pathlib import Path
from typing import NamedTuple

from minicnn.files import write_whole
from minicnn.train.recipe import RECIPES
from tests.gpu.floor import microseconds, of_banks, summary
from tests.gpu.sass.launches import Counted, counted, of_step

FILE = Path(__file__).with_name("budget.json")
MODELS = ("lenet", "lenet-max", "lenet-plus")
ARCHITECTURE = "sm_90"


class Cost(NamedTuple):
    """What a launch takes.

    Attributes:
        instructions: that a warp issues, in the mean.
        us: what it takes an H200 to issue those of all warps.
        of_banks: how long the banks of shared memory are busy, in us.
        registers: of a thread.
    """

    blocks: int
    instructions: int
    us: float
    of_banks: float
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
        us, banks = round(microseconds(count), 3), round(of_banks(count), 3)
        blocks, instructions = prod(count.launch.grid), round(count.instructions)
        costs[key] = Cost(blocks, instructions, us, banks, count.kernel.registers)
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


def main() -> None:
    """Write what the kernels take now."""
    counts = {model: counts_of(model) for model in MODELS}
    write_whole(FILE, as_json({model: costs_of(of_model) for model, of_model in counts.items()}))
    for model, of_model in counts.items():
        print(f"{model}: {summary(of_model)}")


if __name__ == "__main__":
    main()
