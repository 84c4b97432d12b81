"""A pytest plugin: the engine's own tests, with every tensor on a GPU.

    MINICNN_ON=standin python -m pytest -p tests.gpu.on_device tests
    MINICNN_ON=gpu     python -m pytest -p tests.gpu.on_device tests     (real hardware)

A NumPy array that becomes a tensor goes to the device, so the tests run as they stand: nets,
operations, gradients, optimisers are computed by ``kernels.gpu``, and results come back where a
test compares them. What is about the host (NumPy's memory, the CPU's kernels, files, command
lines) and what trains for long is left out by name below.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("MINICNN_ON") == "standin":
    sys.path.insert(0, str(Path(__file__).parent / "standin"))

from minicnn.device import gpu_problem, to_device, to_host

FILES = {  # of the host, or long; a folder stands for all that is in it
    "compiler": "of the CPU's plans; tests/gpu/test_compiled.py is its counterpart",
    "d2l": "trains",
    "data": "files; tests/gpu/test_training.py is the loader's counterpart",
    "distributed": "of the CPU",
    "exact": "of the CPU's ways; tests/gpu/test_kernels.py has whole numbers too",
    "faults": "processes of their own",
    "explain": "pages; test_tape.py counts NumPy's memory",
    "gpu": "of its own",
    "badinput": "what is refused, before anything is computed",
    "hostile": "files",
    "hosts": "processes of their own",
    "learn": "a learner's arrays; processes of their own",
    "kernels": "the CPU's kernels; tests/gpu/test_kernels.py is its counterpart",
    "predict": "pictures and their page",
    "sweep": "trains",
    "train": "trains; tests/gpu/test_training.py is its counterpart",
    "ops/test_promises.py": "NumPy's memory",
    "ops/test_edges.py": "of the CPU's tiles too; tests/gpu/test_edges.py is its counterpart",
    "optim/test_adaptive.py": "tests/gpu/test_optimizers.py is its counterpart",
    "tensor/test_needs_gradient.py": "calls backward with NumPy's arrays",
    "test_benchmarks.py": "figures",
    "test_benchmarks_units.py": "figures",
    "test_command.py": "command lines",
    "test_compare.py": "command lines",
    "test_device.py": "what happens without a GPU",
    "test_docs.py": "texts",
    "test_files.py": "files",
    "test_guards.py": "the repository",
    "test_house.py": "the repository",
    "test_interrupts.py": "the CPU's threads",
    "test_mnist_example.py": "trains",
    "test_mutants.py": "the repository",
    "test_notebooks.py": "texts",
    "test_old_files.py": "files",
    "test_outside.py": "a process of its own, with NumPy",
    "test_packaging.py": "wheels",
    "test_rungs.py": "the CPU's rungs",
    "test_selfcheck.py": "the CPU's kernels",
    "test_sklearn.py": "trains",
    "test_soak.py": "figures",
    "test_slow_to_fast.py": "its versions bring their device along",
    "test_terminal.py": "command lines",
    "test_visualize.py": "trains",
}
TESTS = {
    "test_a_bug_in_a_convolution_is_caught_and_its_worst_cell_named": "bugs written with NumPy",
    "test_a_class_of_none_is_out_of_range": "on a GPU the loss is nan: test_training.py",
    "test_a_class_out_of_range_is_an_index_error": "on a GPU the loss is nan: test_training.py",
    "test_a_gradient_comes_back_through_a_change_of_dtype": "torch reads NumPy's memory",
    "test_a_gradient_kept_from_the_last_call_is_caught": "a bug written with NumPy",
    "test_a_gradient_of_another_shape_is_caught_and_what_is_missing_named": "bugs of NumPy's",
    "test_a_parameter_in_another_memory_order_is_updated_in_place": "of the array it was made from",
    "test_a_read_only_array_is_left_alone": "NumPy's memory",
    "test_a_slip_in_a_pooling_is_named": "a pooling written with NumPy",
    "test_an_array_does_not_take_up_a_tensor_with_a_gradient": "a NumPy array on the left",
    "test_an_array_takes_up_a_tensor_in_place": "a NumPy array on the left",
    "test_array_protocol_takes_dtype_and_copy": "NumPy's memory",
    "test_arrays_keep_their_dtype_and_memory": "NumPy's memory",
    "test_asarray_and_numpy_share_memory": "NumPy's memory",
    "test_comparisons_are_elementwise_whatever_stands_on_the_left": "a NumPy array on the left",
    "test_comparisons_by_their_functions": "a NumPy array on the left",
    "test_data_may_change_shape_dtype_and_order_as_in_pytorch": "NumPy's memory",
    "test_dlpack_to_and_from_numpy_shares_memory": "NumPy's memory",
    "test_dlpack_to_and_from_torch_shares_memory": "NumPy's memory",
    "test_from_numpy_shares_memory": "NumPy's memory",
    "test_functions_that_tensors_do_not_have_give_arrays": "NumPy's arrays",
    "test_nothing_is_said_of_a_gradient_that_resembles_nothing": "a bug written with NumPy",
    "test_old_pickles_load": "of a net on the CPU",
    "test_only_a_large_batch_goes_by_image": "on a GPU none does",
    "test_only_a_new_array_becomes_a_gradient_without_a_copy": "NumPy's memory",
    "test_options_that_tensors_lack_are_numpys": "options that CuPy lacks",
    "test_repr_says_values_dtype_and_origin": "the repr names the device",
    "test_state_that_cannot_be_written_in_place_is_copied": "NumPy's memory",
    "test_summary_sizes_lazy_layers_and_lists_each_once": "lazy layers of a net on the CPU",
    "test_the_learners_convolution_without_a_bug_passes": "written with NumPy",
    "test_to_cpu_changes_nothing": "of a net on the CPU",
    "test_what_a_large_batch_reads_again_must_not_change": "on a GPU no batch goes by image",
    "test_wrong_gradients_fail[sum not spread]": "its wrong gradient is written with NumPy",
}


def pytest_configure() -> None:
    problem = gpu_problem()
    if problem is not None:
        pytest.exit(f"MINICNN_ON={os.environ.get('MINICNN_ON')}: {problem}", returncode=2)
    _make_tensors_on_the_gpu()
    for name in ("assert_allclose", "assert_array_equal"):
        setattr(np.testing, name, _of_host_arrays(getattr(np.testing, name)))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    tests = Path(__file__).parent.parent
    return True if collection_path in [tests / name for name in FILES] else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    names = [(item, getattr(item, "originalname", item.name)) for item in items]
    left_out = [item for item, name in names if name in TESTS or item.name in TESTS]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _make_tensors_on_the_gpu() -> None:
    tensor = importlib.import_module("minicnn.tensor")  # minicnn.tensor is a function
    as_array = tensor.as_array

    def moved(data: Any, dtype: Any = None) -> Any:
        return to_device(as_array(data, dtype), "gpu")

    tensor.as_array = moved  # type: ignore[attr-defined]


def _of_host_arrays(check: Callable[..., None]) -> Callable[..., None]:
    def checked(actual: Any, desired: Any, *rest: Any, **options: Any) -> None:
        check(_host(actual), _host(desired), *rest, **options)

    return checked


def _host(value: Any) -> Any:
    return to_host(value) if type(value).__module__.startswith("cupy") else value
