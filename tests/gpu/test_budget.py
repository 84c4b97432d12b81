"""No kernel of the LeNets takes more instructions than ``budget.json`` grants it."""

from __future__ import annotations

import functools

import pytest

pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy and NVRTC")
from tests.gpu import budget, floor
from tests.gpu.sass import assembly
from tests.gpu.sass.launches import Counted

if assembly.nvdisasm() is None:
    pytest.skip("needs nvidia-cuda-nvdisasm", allow_module_level=True)

MORE = 1.03  # a compiler of another version may add some
MOST_US = {"lenet": 25, "lenet-max": 18, "lenet-plus": 120}  # of a step
# with its banks of shared memory, where they take longer than the issuing of a launch
MOST_US_WITH_BANKS = {"lenet": 30, "lenet-max": 25, "lenet-plus": 120}
MOST_LAUNCHES = {"lenet": 9, "lenet-max": 9, "lenet-plus": 13}
SHORT = 1.0  # us: such a kernel need not keep the whole chip busy
FEWEST_BLOCKS = 100  # of a longer one: there are 132 multiprocessors

of_model = pytest.mark.parametrize("model", budget.MODELS)


@functools.cache
def counts_of(model: str) -> list[Counted]:
    return budget.counts_of(model)


@of_model
def test_no_kernel_takes_more_instructions_than_it_is_granted(model: str) -> None:
    granted, costs = budget.read()[model], budget.costs_of(counts_of(model))
    assert list(costs) == list(granted), "other launches: python -m tests.gpu.budget"
    dearer = [
        f"{name}: {cost.us} us to issue, {cost.busiest} us at the busiest; granted {granted[name]}"
        for name, cost in costs.items()
        if cost.us > MORE * granted[name].us or cost.busiest > MORE * granted[name].busiest
    ]
    assert not dearer, "; ".join(dearer)


def test_the_page_tells_the_budget() -> None:
    page = budget.PAGE.read_text()
    assert page == budget.page_with(budget.read(), page)


@of_model
def test_no_multiply_add_is_missing(model: str) -> None:
    """The plan counts those at the padding too, which a kernel may leave out."""
    for count in counts_of(model):
        issued = count.of("FFMA") * count.launch.warps * 32
        assert issued >= 0.9 * count.launch.flops / 2, count.launch.name


@of_model
def test_a_step_is_issued_in_time(model: str) -> None:
    costs = budget.costs_of(counts_of(model)).values()
    assert sum(cost.us for cost in costs) <= MOST_US[model]
    assert len(costs) <= MOST_LAUNCHES[model]
    longer = [max(floor.microseconds(one), floor.of_banks(one)) for one in counts_of(model)]
    assert sum(longer) <= MOST_US_WITH_BANKS[model]


@of_model
def test_no_kernel_spills_or_takes_many_more_registers(model: str) -> None:
    granted = budget.read()[model]
    for count, cost in zip(counts_of(model), granted.values(), strict=True):
        assert count.kernel.spilled == 0, count.launch.name
        assert count.kernel.registers <= cost.registers + 8, count.launch.name


@of_model
def test_every_kernel_that_takes_long_has_blocks_for_the_whole_chip(model: str) -> None:
    costs = budget.costs_of(counts_of(model))
    few = [name for name, cost in costs.items() if cost.us > SHORT and cost.blocks < FEWEST_BLOCKS]
    assert not few
