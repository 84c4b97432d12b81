"""Training as the chapters do it, in either edition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minicnn import data, nn, optim
from minicnn.checks import check_callable, check_integer, check_is, check_number
from minicnn.device import Device, resolve, try_gpu
from minicnn.nn.modes import in_evaluation_mode
from minicnn.plots import LiveCurves, in_notebook
from minicnn.tensor import Tensor, no_grad
from minicnn.terminal import say
from minicnn.train.loop import fit
from minicnn.train.measure import History

from .counting import Accumulator, accuracy, check_batches, evaluate_accuracy, pairs
from .curves import Animator

Batches = Iterable[tuple[Tensor, Tensor]]


def sgd(params: Iterable[Tensor], lr: float, batch_size: int) -> None:
    """p = p - lr dp / batch_size for every parameter p; then the gradients are cleared.

    dp is the gradient of a *summed* loss; ``optim.SGD`` takes that of a mean.
    """
    check_number("sgd: lr", lr, at_least=0)
    check_integer("sgd: batch_size", batch_size, 1)
    optimizer = optim.SGD(params, lr / batch_size)
    optimizer.step()
    optimizer.zero_grad()


def init_weights(m: nn.Module) -> None:
    """For ``net.apply``: Xavier-uniform weights, with which the second edition's LeNet begins."""
    check_is("init_weights: m", m, nn.Module, "a module")
    if isinstance(m, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(m.weight)


def train_ch6(
    net: nn.Module,
    train_iter: data.DataLoader,
    test_iter: data.DataLoader,
    num_epochs: int,
    lr: float,
    device: Device | None = None,
    *,
    compile: bool = False,
    history: History | None = None,
) -> None:
    """Train LeNet as the second edition does: Xavier weights, plain SGD, cross-entropy.

    Prints the device, then loss and train accuracy (means over the last epoch, during training),
    test accuracy, and the speed. The time includes batching, steps and counting correct
    predictions, not evaluation; the book's leaves out batching too. A notebook draws the curves.

    Args:
        net: its biases stay as they are (in the book they are PyTorch's random ones); lazy layers
            take their sizes from the first batch.
        train_iter, test_iter: batches, as ``load_data_fashion_mnist`` gives them.
        device: by default the GPU if there is one.
        compile: as in ``minicnn.fit``: several times as fast.
        history: keeps the measurements; ``plots.curves(history.curve)`` draws them.

    Raises:
        DivergedError, ValueError, CompileError: as ``minicnn.fit``.
    """
    check_is("train_ch6: net", net, nn.Module, "a module")
    check_batches("train_ch6: test_iter", test_iter)
    device = try_gpu() if device is None else resolve(device)
    _size_lazy_layers(net, train_iter)
    net.apply(init_weights)
    say(f"training on {device}")
    net.to(device)
    history = fit(
        net,
        train_iter,
        test_iter,
        optimizer=optim.SGD(net.parameters(), lr),
        epochs=num_epochs,
        after_epoch=_curves(),
        history=history,
        quiet=True,
        compile=compile,
    )
    last = history.epochs[-1]
    say(
        f"loss {last['loss']:.3f}, train acc {last['train_acc']:.3f}, "
        f"test acc {last['test_acc']:.3f}\n"
        f"{history.examples_per_sec:.1f} examples/sec on {device}"
    )


def train_ch5(
    net: nn.Module,
    train_iter: data.DataLoader,
    test_iter: data.DataLoader,
    batch_size: int,
    optimizer: optim.Optimizer,
    device: Device | None = None,
    num_epochs: int = 5,
    *,
    compile: bool = False,
    history: History | None = None,
) -> None:
    """Train LeNet as the first edition does, from the weights that ``net`` has.

    Prints the device and a line for each epoch: loss and train accuracy (means over the epoch,
    during training), test accuracy, and the seconds of all of it, evaluation included.

    Args:
        batch_size: the gradient of a batch's summed loss is divided by it, so that a smaller last
            batch counts less, as with the trainer of the first edition.
        optimizer: of the net's parameters.
        device, compile, history: as in ``train_ch6``.

    Raises:
        DivergedError, ValueError, CompileError: as ``minicnn.fit``.
    """
    check_is("train_ch5: net", net, nn.Module, "a module")
    check_batches("train_ch5: test_iter", test_iter)
    check_integer("train_ch5: batch_size", batch_size, 1)
    device = try_gpu() if device is None else resolve(device)
    net.to(device)
    say(f"training on {device}")
    fit(
        net,
        train_iter,
        test_iter,
        optimizer=optimizer,
        epochs=num_epochs,
        divide_by=batch_size,
        after_epoch=[_print_epoch, *_curves()],
        history=history,
        quiet=True,
        compile=compile,
    )


def _print_epoch(history: History) -> None:
    """The first edition's line for the last epoch."""
    epoch = history.epochs[-1]
    seconds = epoch["seconds"] + epoch["eval_seconds"]
    say(
        f"epoch {epoch['epoch']}, loss {epoch['loss']:.4f}, train acc {epoch['train_acc']:.3f}, "
        f"test acc {epoch['test_acc']:.3f}, time {seconds:.1f} sec",
    )


def _curves() -> list[Callable[[History], None]]:
    return [LiveCurves()] if in_notebook() else []


def _size_lazy_layers(net: nn.Module, batches: Batches) -> None:
    """Send a batch through a net that has lazy layers."""
    if any(isinstance(m, nn.LazyConv2d | nn.LazyLinear) for m in net.modules()):
        X, _ = next(iter(batches))
        with in_evaluation_mode(net), no_grad():
            net(X)


def train_epoch_ch3(
    net: Any, train_iter: Batches, loss: Callable[[Tensor, Tensor], Tensor], updater: Any
) -> tuple[float, float]:
    """One pass over ``train_iter``; returns the means of loss and accuracy during training.

    Args:
        net: a module or a function.
        loss: of (y_hat, y): a loss for each example (``reduction='none'``), or their mean.
        updater: an ``optim.SGD``, or a function of the batch's size that updates the parameters
            with the gradient of the summed loss and then clears it, as ``sgd`` does.

    Raises:
        ValueError: no examples.
    """
    check_callable("train_epoch_ch3: loss", loss, "a function of (y_hat, y)")
    if isinstance(net, nn.Module):
        net.train()
    metric = Accumulator(3)
    for X, y in pairs("train_epoch_ch3: train_iter", train_iter):
        y_hat = net(X)
        losses = loss(y_hat, y)
        total = losses.sum() if losses.ndim else losses * len(y)
        if isinstance(updater, optim.Optimizer):
            updater.zero_grad()
            (total / len(y)).backward()
            updater.step()
        else:
            total.backward()
            updater(len(y))
        metric.add(total, accuracy(y_hat, y), len(y))
    if metric[2] == 0:
        raise ValueError("train_epoch_ch3: train_iter has no examples")
    return metric[0] / metric[2], metric[1] / metric[2]


def train_ch3(
    net: Any,
    train_iter: Batches,
    test_iter: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    num_epochs: int,
    updater: Any,
    *,
    animator: Animator | None = None,
) -> None:
    """Train any net. Prints a line for each epoch; a notebook draws the curves.

    Args: those of ``train_epoch_ch3`` and ``evaluate_accuracy``.
        animator: collects the curves.
    """
    check_integer("train_ch3: num_epochs", num_epochs, 1)
    if animator is None:
        animator = Animator("epoch", legend=["train loss", "train acc", "test acc"])
    if not hasattr(animator, "add"):
        kind = type(animator).__name__
        raise TypeError(f"train_ch3: animator is of type {kind}; wanted an Animator")
    for epoch in range(1, num_epochs + 1):
        train_loss, train_acc = train_epoch_ch3(net, train_iter, loss, updater)
        test_acc = evaluate_accuracy(net, test_iter)
        animator.add(epoch, (train_loss, train_acc, test_acc))
        say(
            f"epoch {epoch}, loss {train_loss:.4f}, train acc {train_acc:.3f}, "
            f"test acc {test_acc:.3f}",
        )
