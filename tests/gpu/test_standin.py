"""The stand-in for CuPy: what CuPy lets pass or does in silence is refused or counted here."""

from __future__ import annotations

import importlib
import inspect
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.gpu.pretend import standin_for_cupy

device = importlib.import_module("minicnn.device")  # minicnn.device is a function

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

HOST = np.ones(3, np.float32)
TEXT = """
typedef REAL real;
extern "C" __global__ void add(const real* x, real* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += x[i];
}
extern "C" __global__ void last_to_write(int* y) { y[0] = threadIdx.x; }
"""


@pytest.fixture
def x(cupy: Any) -> Any:
    """1, 2, 3 on the device; counters at 0."""
    x = cupy.asarray(np.array([1, 2, 3], np.float32))
    cupy.reset_counters()
    return x


def counted(cupy: Any) -> dict[str, int]:
    """The counters that are not 0."""
    return {name: count for name, count in vars(cupy.counters).items() if count}


def add(cupy: Any, x: Any, y: Any, **options: Any) -> None:
    """y += x by a kernel."""
    module = cupy.RawModule(code=TEXT, options=("-std=c++17", "-DREAL=float"))
    module.get_function("add")((1,), (32,), (x, y, np.int32(x.size)), **options)


# The wall


@pytest.mark.parametrize(
    "use",
    [
        lambda cupy, x: x + HOST,
        lambda cupy, x: HOST + x,
        lambda cupy, x: x == HOST,
        lambda cupy, x: np.add(x, HOST),
        lambda cupy, x: cupy.exp(HOST),
        lambda cupy, x: cupy.sum(HOST),
        lambda cupy, x: cupy.concatenate([x, HOST]),
        lambda cupy, x: cupy.add(x, x, out=HOST),
        lambda cupy, x: x.__setitem__(0, HOST),
        lambda cupy, x: x[np.array([0, 1])],
        lambda cupy, x: x.dot(HOST),
        lambda cupy, x: cupy.ascontiguousarray(HOST),
        lambda cupy, x: np.asarray(x),
        lambda cupy, x: HOST.__iadd__(x),
        lambda cupy, x: range(x[0]),
    ],
)
def test_host_and_device_do_not_mix(cupy: Any, x: Any, use: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        use(cupy, x)


def test_a_device_array_is_no_numpy_array(cupy: Any, x: Any) -> None:
    assert not isinstance(x, np.ndarray)
    assert type(x).__module__ == "cupy"
    assert isinstance(x.sum(), cupy.ndarray)
    assert isinstance(x[0], cupy.ndarray)


def test_numpys_functions_and_scalars_lead_to_the_device(cupy: Any, x: Any) -> None:
    for y in (np.exp(x), np.sum(x), np.float32(2) * x, np.concatenate([x, x])):
        assert isinstance(y, cupy.ndarray)
    assert counted(cupy) == {"allocations": 4, "cupy_kernels": 4}


def test_results_are_numpys(cupy: Any) -> None:
    a = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    x = cupy.asarray(a)
    pairs = [
        (2 - x, 2 - a),
        (x @ x.T, a @ a.T),
        (x.max(axis=1, keepdims=True), a.max(axis=1, keepdims=True)),
        (cupy.where(x > 0, x, 0), np.where(a > 0, a, 0)),
        (x[:, None, ::2], a[:, None, ::2]),
        (x[cupy.arange(3), cupy.asarray([3, 0, 3])], a[np.arange(3), [3, 0, 3]]),
        (x[x > 0], a[a > 0]),
        (x.argmax(axis=1), a.argmax(axis=1)),
    ]
    for got, wanted in pairs:
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got.get(), wanted)


def test_a_slice_is_a_view_and_in_place_operators_write_through(cupy: Any, x: Any) -> None:
    first, same = x[0], x
    x *= 2
    first += 1
    assert x is same
    assert x.tolist() == [3, 4, 6]
    assert cupy.ascontiguousarray(x) is x


def test_new_memory_is_poisoned(cupy: Any, x: Any) -> None:
    assert np.isnan(cupy.empty(3).get()).all()
    assert np.isnan(cupy.empty_like(x).get()).all()
    assert (cupy.empty(3, np.uint8).get() == 0xA5).all()


# What is counted


@pytest.mark.parametrize(
    "use", [float, bool, int, str, lambda x: x.item(), lambda x: x.tolist(), lambda x: 2 in x[None]]
)
def test_asking_for_a_value_waits_and_copies(cupy: Any, x: Any, use: Callable[..., Any]) -> None:
    one = x[1]
    use(one)
    assert (cupy.counters.d2h, cupy.counters.synchronisations) == (1, 1)


@pytest.mark.parametrize(
    ("use", "counts"),
    [
        (lambda cupy, x: x.get(), {"d2h": 1, "synchronisations": 1}),
        (lambda cupy, x: cupy.asnumpy(x), {"d2h": 1, "synchronisations": 1}),
        (lambda cupy, x: x.set(HOST), {"h2d": 1}),
        (lambda cupy, x: cupy.asarray(HOST), {"h2d": 1, "allocations": 1}),
        (lambda cupy, x: cupy.asarray(x), {}),
        (lambda cupy, x: x.reshape(1, 3)[:, 1:].T, {}),
        (lambda cupy, x: x + 1, {"allocations": 1, "cupy_kernels": 1}),
        (lambda cupy, x: cupy.add(x, 1, out=x), {"cupy_kernels": 1}),
        (lambda cupy, x: x.fill(2), {"cupy_kernels": 1}),
        (lambda cupy, x: x.__setitem__(slice(2), 5), {"cupy_kernels": 1}),
        (lambda cupy, x: cupy.empty(2), {"allocations": 1}),
        (
            lambda cupy, x: cupy.nonzero(x),
            {"synchronisations": 1, "allocations": 1, "cupy_kernels": 1},
        ),
        (lambda cupy, x: cupy.cuda.Device().synchronize(), {"synchronisations": 1}),
    ],
)
def test_counters(cupy: Any, x: Any, use: Callable[..., Any], counts: dict[str, int]) -> None:
    use(cupy, x)
    assert counted(cupy) == counts


def test_a_boolean_mask_waits(cupy: Any, x: Any) -> None:
    mask = x > 1
    cupy.reset_counters()
    x[mask]
    assert cupy.counters.synchronisations == 1


# Names


def test_only_names_and_parameters_of_cupy(cupy: Any, x: Any) -> None:
    for use in (lambda: cupy.asanyarray_like, lambda: cupy.bool8, lambda: cupy.ctypeslib):
        with pytest.raises(AttributeError):
            use()
    for use in (lambda: x.sum(where=x > 0), lambda: cupy.add(x, x, where=x), lambda: x.item(0)):
        with pytest.raises(TypeError, match="argument"):
            use()


@pytest.mark.parametrize(
    "place",
    [
        *("cupy", "cupy.ndarray", "cupy.RawModule", "cupy.cuda", "cupy.cuda.Device"),
        *("cupy.cuda.Event", "cupy.cuda.Graph", "cupy.cuda.Stream", "cupy.cuda.runtime"),
    ],
)
def test_the_stand_in_has_no_name_of_its_own(cupy: Any, place: str) -> None:
    ours = {"counters", "reset_counters", "set_build", "set_deferred", "set_thread_order"}
    ours |= {"time", "invalidate", "annotations", "ptr", "device_id"}
    thing = cupy
    for name in place.split(".")[1:]:
        thing = getattr(thing, name)
    known = set(cupy._SNAPSHOT[place]) | ours
    public = {name for name in dir(thing) if not name.startswith("_")}
    assert public <= known, public - known


def test_parameters_of_methods_are_cupys(cupy: Any) -> None:
    for place, thing in (("cupy.ndarray", cupy.ndarray), ("cupy.cuda.Stream", cupy.cuda.Stream)):
        for name, parameters in cupy._SNAPSHOT[place].items():
            method = vars(thing).get(name)
            if not parameters or not inspect.isfunction(method) or "*args" in str(method):
                continue
            known = parameters.replace("=Ellipsis", "").strip("()").split(", ")
            ours = [p for p in inspect.signature(method).parameters if p not in ("self", "args")]
            assert set(ours) <= {*known, "kwargs"}, name


# Kernels


@needs_compiler
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (lambda x: (HOST, x, np.int32(3)), TypeError),
        (lambda x: (x, x, 3), TypeError),
        (lambda x: (x, x, np.int64(3)), TypeError),
        (lambda x: (x, x.astype(np.float64), np.int32(3)), TypeError),
        (lambda x: (x, x), TypeError),
        (lambda x: (x, x[::2], np.int32(2)), ValueError),
    ],
)
def test_what_a_kernel_would_misread(cupy: Any, x: Any, arguments: Any, error: Any) -> None:
    kernel = cupy.RawModule(code=TEXT, options=("-DREAL=float",)).get_function("add")
    with pytest.raises(error, match=r"^add: "):
        kernel((1,), (32,), arguments(x))
    with pytest.raises(RuntimeError, match=r"^add: grid"):
        kernel((0,), (32,), (x, x, np.int32(3)))
    assert cupy.counters.launches == 0


@needs_compiler
def test_a_launch_in_either_real(cupy: Any, x: Any) -> None:
    add(cupy, x, x)
    assert x.tolist() == [2, 4, 6]
    assert cupy.counters.launches == 1
    y = cupy.ones(2, np.float64)
    double = cupy.RawModule(code=TEXT, options=("-DREAL=double",)).get_function("add")
    double((1,), (32,), (y, y, np.int32(2)))
    assert y.tolist() == [2, 2]


@needs_compiler
def test_the_order_of_threads_can_be_set(cupy: Any) -> None:
    y = cupy.zeros(1, np.int32)
    kernel = cupy.RawModule(code=TEXT, options=("-DREAL=float",)).get_function("last_to_write")
    for order, last in ((0, 7), (1, 0)):
        cupy.set_thread_order(order)
        kernel((1,), (8,), (y,))
        assert int(y[0]) == last


@needs_compiler
def test_wrong_sources_are_noticed(cupy: Any) -> None:
    module = cupy.RawModule(code='extern "C" __global__ void f(int n) { m = n; }')
    with pytest.raises(cupy.cuda.compiler.CompileException, match="not declared"):
        module.get_function("f")


# Graphs


@needs_compiler
def test_capture_records_and_launch_replays(cupy: Any, x: Any) -> None:
    y, stream = cupy.zeros_like(x), cupy.cuda.Stream(non_blocking=True)
    add(cupy, x, y)  # compiled before, as in life
    cupy.reset_counters()
    with stream:
        stream.begin_capture()
        add(cupy, x, y)
        y *= 2
        cupy.add(y, 1, out=y)
        y[:1] = 0
        graph = stream.end_capture()
    assert counted(cupy) == {}
    assert y.tolist() == [1, 2, 3]
    cupy.reset_counters()
    graph.launch(stream)
    graph.launch()
    assert counted(cupy) == {"graph_launches": 2}
    assert y.tolist() == [0, 23, 33]


@pytest.mark.parametrize(
    "use",
    [
        lambda cupy, x: x.get(),
        lambda cupy, x: float(x[0]),
        lambda cupy, x: x.set(HOST),
        lambda cupy, x: cupy.asarray(HOST),
        lambda cupy, x: cupy.empty(3),
        lambda cupy, x: x + 1,
        lambda cupy, x: cupy.cuda.get_current_stream().synchronize(),
        lambda cupy, x: cupy.cuda.Device().synchronize(),
    ],
)
def test_capture_refuses_what_it_cannot_record(cupy: Any, x: Any, use: Callable[..., Any]) -> None:
    error = cupy.cuda.runtime.CUDARuntimeError
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        with pytest.raises(error, match="cudaErrorStreamCaptureUnsupported"):
            use(cupy, x)
        with pytest.raises(error, match="cudaErrorStreamCaptureInvalidated"):
            stream.end_capture()


@pytest.mark.parametrize(
    "use",
    [
        lambda cupy, x: cupy.matmul(x, x, out=x[0]),
        lambda cupy, x: x.dot(x),
        lambda cupy, x: x @ x,
        lambda cupy, x: cupy.einsum("i,i", x, x),
        lambda cupy, x: cupy.tensordot(x, x, axes=1),
    ],
)
def test_capture_refuses_cublas(cupy: Any, x: Any, use: Callable[..., Any]) -> None:
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        with pytest.raises(NotImplementedError, match="cuBLAS"):
            use(cupy, x)
        stream.end_capture()


def test_a_graph_does_not_keep_its_arrays(cupy: Any, x: Any) -> None:
    y = cupy.zeros_like(x)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        cupy.add(x, y, out=y)
        graph = stream.end_capture()
    graph.launch()
    del y
    with pytest.raises(RuntimeError, match="freed"):
        graph.launch()


def test_the_null_stream_does_not_capture(cupy: Any) -> None:
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.Stream.null.begin_capture()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.Stream().end_capture()


def test_events_tell_the_time(cupy: Any) -> None:
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    end.record()
    end.synchronize()
    assert cupy.cuda.get_elapsed_time(start, end) >= 0


# Devices


def test_arrays_stay_on_their_device(cupy: Any, x: Any) -> None:
    with cupy.cuda.Device(1):
        there = cupy.zeros(3, np.float32)
        moved = cupy.asarray(x)
        assert (moved + there).device.id == moved[1:].device.id == 1
        assert moved.tolist() == [1, 2, 3]
    assert x.device.id == cupy.cuda.Device().id == 0
    assert cupy.asarray(x) is x
    there.get()
    for use in (lambda: x + there, lambda: there + 1, lambda: there.fill(1), lambda: x[there > 0]):
        with pytest.raises(ValueError, match="is different from the current device"):
            use()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="invalid device"):
        cupy.cuda.Device(2).use()


@needs_compiler
def test_kernels_run_on_the_current_device(cupy: Any, x: Any) -> None:
    with cupy.cuda.Device(1):
        there, stream = cupy.zeros(3, np.float32), cupy.cuda.Stream()
        add(cupy, there, there, stream=stream)
        with pytest.raises(ValueError, match="is different from the current device"):
            add(cupy, x, there)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="invalid resource handle"):
        add(cupy, x, x, stream=stream)


# In the engine


@needs_compiler
def test_the_engine_takes_it_for_a_gpu(cupy: Any) -> None:
    assert device.gpu_problem() is None
    on_device = device.to_device(HOST, "gpu:1")
    assert device.device_of(on_device) == "gpu:1"
    np.testing.assert_array_equal(device.to_host(on_device), HOST)


def test_it_is_gone_afterwards() -> None:
    import sys

    before = sys.modules.get("cupy")
    with standin_for_cupy() as first:
        assert sys.modules["cupy"] is first
    assert sys.modules.get("cupy") is before
    with standin_for_cupy() as second:
        assert second is first
