"""``minicnn.tensor`` and ``minicnn.device``: modules that can be called; old pickles."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.nn import Parameter
from minicnn.tensor import Tensor as TensorOfTheModule

ROOT = Path(__file__).parents[2]


# Two modules whose names are functions too --------------------------------------------------------


def test_device_names_a_device() -> None:
    assert minicnn.device("cpu") == "cpu"
    assert minicnn.device("gpu") == minicnn.device("cuda") == minicnn.device("cuda", 0) == "gpu:0"
    assert minicnn.device("cuda:2") == minicnn.device("cuda", 2) == "gpu:2"
    with pytest.raises(ValueError, match=r"^device is 'tpu'; wanted 'cpu', 'gpu' or"):
        minicnn.device("tpu")


def test_cuda_is_asked_for_as_in_pytorch() -> None:
    there = importlib.import_module("minicnn.device").gpu_problem() is None
    assert minicnn.cuda.is_available() is there
    device = minicnn.device("cuda" if minicnn.cuda.is_available() else "cpu")
    assert device == minicnn.try_gpu()


TO_CUDA: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.cuda(),
    lambda x: x.to("cuda"),
    lambda x: x.to("cuda:0"),
    lambda x: x.to(minicnn.device("cuda")),
    lambda x: minicnn.zeros(2, 3, device="cuda"),
    lambda x: minicnn.tensor([[0, 0, 0], [0, 0, 0]], device="cuda").float(),
]


@pytest.mark.parametrize("move", TO_CUDA)
def test_cuda_is_the_gpu(move: Callable[[Tensor], Tensor]) -> None:
    x = minicnn.zeros(2, 3)
    if minicnn.cuda.is_available():  # or the stand-in for one
        moved = move(x)
        assert moved.device == minicnn.zeros_like(moved).device == "gpu:0"
        np.testing.assert_array_equal(moved.cpu().numpy(), np.zeros((2, 3), np.float32))
    else:
        with pytest.raises(minicnn.DeviceError, match=r"^device gpu:0 cannot be used: "):
            move(x)


def test_a_method_that_is_no_function_says_how_it_is_written() -> None:
    for name in ("exp", "softmax", "permute"):
        with pytest.raises(
            AttributeError, match=rf"^module 'minicnn' has no attribute '{name}'; write x\.{name}\("
        ):
            getattr(minicnn, name)
    for name in ("einsum", "T", "grad", "_mode"):
        with pytest.raises(AttributeError, match=rf"^module 'minicnn' has no attribute '{name}'$"):
            getattr(minicnn, name)


def test_tensor_and_device_are_functions_and_still_modules() -> None:
    import minicnn.device as device_by_statement
    import minicnn.tensor as tensor_by_statement

    assert TensorOfTheModule is Tensor
    assert importlib.import_module("minicnn.tensor").Tensor is Tensor
    assert tensor_by_statement.Tensor is Tensor
    assert tensor_by_statement.no_grad is minicnn.no_grad
    assert device_by_statement.try_gpu is minicnn.try_gpu
    # what a type checker sees, checked where mypy checks the tests
    assert_type(minicnn.tensor([1]), Tensor)
    assert_type(minicnn.device("cpu"), str)
    assert_type(tensor_by_statement.Tensor([1]), TensorOfTheModule)
    assert_type(minicnn.zeros(2).size(), tuple[int, ...])
    assert_type(minicnn.zeros(2).size(0), int)
    assert_type(minicnn.zeros(2).max(axis=0), Tensor)
    assert_type(minicnn.zeros(2).max(dim=0).values, Tensor)


def test_importing_the_modules_first_or_afterwards_leaves_the_functions() -> None:
    program = (
        "import minicnn.tensor, minicnn.device, minicnn\n"
        "from minicnn.tensor import Tensor, no_grad\n"
        "import minicnn.tensor, minicnn.device\n"
        "assert isinstance(minicnn.tensor([1]), minicnn.tensor.Tensor)\n"
        "assert minicnn.device('cpu') == 'cpu' == minicnn.device.resolve('cpu')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


OLD_PICKLES: dict[type[Tensor], bytes] = {
    Tensor: (
        b"\x80\x04\x95\xfb\x00\x00\x00\x00\x00\x00\x00\x8c\x0eminicnn.tensor\x94\x8c\x06Tensor\x94\x93\x94)"
        b"\x81\x94N}\x94(\x8c\x06_freed\x94\x89\x8c\x05_grad\x94N\x8c\x0b_keeps_grad\x94\x89"
        b"\x8c\x0e_requires_grad\x94\x89\x8c\x04data\x94\x8c\x16numpy._core.m"
        b"ultiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94\x8c\x07nda"
        b"rray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\r\x8c\x05dtype\x94\x93\x94\x8c\x02"
        b"f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b\x89C\x08\x00\x00\xc0"
        b"?\x00\x00 @\x94t\x94b\x8c\x04node\x94Nu\x86\x94b."
    ),
    Parameter: (
        b"\x80\x04\x95\x01\x01\x00\x00\x00\x00\x00\x00\x8c\x11minicnn.nn.module\x94\x8c\tParamet"
        b"er\x94\x93\x94)\x81\x94N}\x94(\x8c\x06_freed\x94\x89\x8c\x05_grad\x94N\x8c\x0b_keeps_"
        b"grad\x94\x89\x8c\x0e_requires_grad\x94\x88\x8c\x04data\x94\x8c\x16numpy._"
        b"core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy"
        b"\x94\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x02\x85\x94h\r\x8c\x05dtyp"
        b"e\x94\x93\x94\x8c\x02f4\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b"
        b"\x89C\x08\x00\x00\xc0?\x00\x00 @\x94t\x94b\x8c\x04node\x94Nu\x86\x94b."
    ),
}


def test_a_pickle_from_before_is_read() -> None:
    """Made by ``pickle.dumps`` when ``minicnn.tensor`` was a module alone."""
    for kind, old in OLD_PICKLES.items():
        tensor = pickle.loads(old)
        assert type(tensor) is kind
        np.testing.assert_array_equal(tensor.numpy(), np.array([1.5, 2.5], np.float32))
    parameter = pickle.loads(OLD_PICKLES[Parameter])
    assert parameter.requires_grad
    again = pickle.loads(pickle.dumps(parameter))
    np.testing.assert_array_equal(again.numpy(), parameter.numpy())
