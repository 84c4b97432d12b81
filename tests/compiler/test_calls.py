"""Calls of a compiled net: what comes in and goes out, sizes of batch, threads, no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models, nn, random
from minicnn.compiler.record import record
from minicnn.kernels.cpu.threads import take_turns
from tests.compiler.nets import (
    DROPOUTS,
    DTYPES,
    NETS,
    NORMED,
    PICTURE,
    assert_bit_for_bit,
    assert_same,
    batch,
    build,
    compiled,
    conv,
    eager,
    losses_of,
    result_of,
)

pytestmark = pytest.mark.usefixtures("share_the_least_work")


# What comes in and goes out -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["conv-everything", "relu-first", "dense-only", "norm"])
def test_bytes_are_their_255ths(name: str, dtype: str, rng: np.random.Generator) -> None:
    net = build({**NETS, **NORMED}[name], dtype)
    pixels, y = rng.integers(0, 256, (21, *PICTURE), np.uint8), batch(21)[1]
    of_bytes = result_of(compiled(net), pixels, y)
    of_numbers = result_of(compiled(net), pixels.astype(dtype) / np.dtype(dtype).type(255), y)
    assert_bit_for_bit(of_bytes, of_numbers)


def test_tensors_and_arrays_of_any_layout() -> None:
    net = build(NETS["conv-everything"], "float64")
    x, y = batch(21)
    step = compiled(net)
    expected = result_of(step, x, y)
    turned = np.ascontiguousarray(x.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)
    wide = np.repeat(np.repeat(x, 2, axis=0), 3, axis=3)[::2, ..., ::3]
    backwards = np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1]
    for given_x in (Tensor(x), turned, wide, backwards, Tensor(wide)):
        for given_y in (y, Tensor(y), y.astype(np.uint8), np.repeat(y, 2)[::2]):
            assert_bit_for_bit(result_of(step, given_x, given_y), expected)


def test_one_plan_for_all_sizes_of_batch() -> None:
    net = build(NETS["deep-conv-everything"], "float64")
    step = compiled(net)
    step(*batch(37))
    plan = step.plan
    for images in (64, 1, 200, 16, 17, 3):
        assert_same(result_of(step, *batch(images)), eager(net, *batch(images)), 1e-11)
        assert step.plan is plan


def test_another_size_of_picture_is_another_plan() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, (2, 3)), nn.Flatten()).to("float64")
    predict = minicnn.compile(net)
    for shape in (PICTURE, (3, 4, 9), PICTURE):
        x = batch(5, shape=shape)[0]
        np.testing.assert_allclose(predict(x).numpy(), net(Tensor(x)).numpy(), rtol=1e-10)


def test_a_prediction_needs_no_classes() -> None:
    net = build(lambda: nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.Tanh()), "float64")
    x = batch(21)[0]
    y = minicnn.compile(net)(x)
    assert y.shape == (21, 4, 9, 7)
    np.testing.assert_allclose(y.numpy(), net(Tensor(x)).numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["deep-conv-stride", "dropout-everywhere"])
def test_a_batch_of_no_images(name: str) -> None:
    net = build(NETS[name], "float64")
    x, y = batch(0)
    assert minicnn.compile(net)(x).shape == (0, 5)
    for reduction, expected in (("sum", 0.0), ("mean", np.nan)):
        step = compiled(net, nn.CrossEntropyLoss(reduction=reduction))
        step(*batch(5))
        loss, logits = step(x, y)
        np.testing.assert_equal(loss.item(), expected)
        assert logits.shape == (0, 5)
        assert not any(g.numpy().any() for g in step.gradients().values())


@pytest.mark.parametrize("name", [*DROPOUTS, "norm", "max-pool", "conv-everything"])
def test_a_batch_of_nan_leaves_nothing_behind(name: str) -> None:
    net, twin = (build({**NETS, **NORMED}[name], "float64") for _ in range(2))
    step = compiled(net)
    step(np.full((16, *PICTURE), np.nan), np.zeros(16, np.int64))
    net.load_state_dict(twin.state_dict())
    minicnn.manual_seed(1)
    ours = result_of(step, *batch(5))
    minicnn.manual_seed(1)
    assert_same(ours, eager(twin, *batch(5)), 1e-11)


@pytest.mark.parametrize("size", [(3, 5), (5, 3)])
def test_what_lies_around_a_strided_picture_is_zero_whatever_was_there(size: Any) -> None:
    """With as much padding as stride each part of a line, of every other column, has a margin."""
    net = build(lambda: conv(4, size, stride=2, padding=2), "float64")
    predict, x = minicnn.compile(net), batch(32)[0]
    expected = predict(x).numpy().copy()
    predict._engine(x).shares.memory[:] = np.nan
    np.testing.assert_array_equal(predict(x).numpy(), expected)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("name", ["deep-conv-everything", "dropout-everywhere", "norms-in-a-row"])
def test_threads_change_the_rounding_at_most(name: str, threads: int) -> None:
    net = build({**NETS, **NORMED}[name], "float64")
    results = []
    for count in (1, threads, threads):
        minicnn.set_num_threads(count)
        minicnn.manual_seed(2)
        results.append(result_of(compiled(net), *batch(83)))
    assert_same(results[1], results[0], 1e-12)
    assert_bit_for_bit(results[2], results[1])


def test_little_work_stays_on_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.compiler.cpu.engine.WORTH_A_THREAD", 10_000_000)
    threads: list[int] = []

    def counted(task: Any, number: int) -> None:
        threads.append(number)
        take_turns(task, number)

    monkeypatch.setattr("minicnn.compiler.cpu.shares.take_turns", counted)
    minicnn.set_num_threads(2)
    predict = minicnn.compile(models.mlp())  # 0.4 million multiply-adds an image
    for images in (24, 17, 50):
        predict(np.zeros((images, 1, 28, 28), np.uint8))
    assert threads == [1, 1, 2]


def test_threads_may_change_between_steps() -> None:
    net = build(NORMED["norms-in-a-row"], "float64")
    step, expected = compiled(net), eager(net, *batch(83))
    for threads in (1, 3, 2, 5, 1):
        minicnn.set_num_threads(threads)
        assert_same(result_of(step, *batch(83)), expected, 1e-11)


def test_the_same_run_twice_is_the_same_bit_for_bit() -> None:
    runs = []
    for _ in range(2):
        net = build(NORMED["norm-and-dropout"], "float32")
        losses = losses_of(compiled(net, lr=0.1, momentum=0.9), "float32", 9)
        runs.append((losses, {n: t.numpy() for n, t in net.state_dict().items()}))
    assert runs[0][0] == runs[1][0]
    for name, array in runs[0][1].items():
        np.testing.assert_array_equal(array, runs[1][1][name], err_msg=name)


# Without a trace ----------------------------------------------------------------------------------


def with_hooks(net: nn.Module) -> list[str]:
    """A list that grows when a layer's forward is called from outside."""
    called: list[str] = []
    for name, layer in net.named_modules():
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
    return called


def test_recording_leaves_no_trace() -> None:
    net = build(NORMED["norm-and-dropout"], "float64")
    called, before = with_hooks(net), {n: t.numpy().copy() for n, t in net.state_dict().items()}
    minicnn.manual_seed(9)
    record(net, np.zeros((2, *PICTURE)))
    assert random.next_mask_key() == (9, 0)
    assert not called
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name], err_msg=name)
    assert all(p.grad is None for p in net.parameters())
    net(Tensor(batch(5)[0]))
    assert called


def test_a_recording_that_fails_leaves_no_trace() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Conv2d(4, 2, 3)).to("float64")
    called, x = with_hooks(net), batch(5)[0]
    minicnn.manual_seed(9)
    with pytest.raises(ValueError, match="conv2d"):
        record(net, x)
    assert random.next_mask_key() == (9, 0)
    assert int(net.state_dict()["0.num_batches_tracked"]) == 0
    net[0](Tensor(x))
    assert called == ["0"]


def test_a_step_draws_its_masks_and_leaves_no_gradients() -> None:
    net = build(NETS["dropout-everywhere"], "float64")
    step = compiled(net)
    minicnn.manual_seed(9)
    step(*batch(5))
    step(*batch(37))
    assert random.next_mask_key() == (9, 8)
    assert all(p.grad is None for p in net.parameters())
