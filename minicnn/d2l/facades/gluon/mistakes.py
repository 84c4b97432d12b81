"""What readers write who know another framework, or the other edition, and what to write here."""

from __future__ import annotations

from typing import Any, NoReturn

# PyTorch's names, NumPy's and those of the other edition's arrays.
OF_ARRAYS = {
    "to": "write X.as_in_context(mx.gpu(0)) for a context, X.astype('float32') for a dtype",
    "cuda": "write X.as_in_context(mx.gpu(0))",
    "cpu": "write X.as_in_context(mx.cpu())",
    "device": "write X.context",
    "numpy": "write X.asnumpy()",
    "view": "write X.reshape(shape)",
    "permute": "write X.transpose(axes)",
    "unsqueeze": "write X.expand_dims(axis)",
    "dim": "write X.ndim",
    "numel": "write X.size",
    "long": "write X.astype('int64')",
    "float": "write X.astype('float32')",
    "requires_grad": "write X.attach_grad()",
    "requires_grad_": "write X.attach_grad()",
    "retain_grad": "write X.attach_grad()",
    "zero_": "write X[:] = 0",
    "eq": "write X == Y",
}
OF_ND = {
    "item": "write X.asscalar()",
    "tolist": "write X.asnumpy().tolist()",
    "as_in_ctx": "write X.as_in_context(ctx)",
    "ctx": "write X.context",
    "dot": "write nd.dot(X, Y)",
    "std": "write X.asnumpy().std()",
}
OF_NP = {
    "asscalar": "write X.item()",
    "exp": "write np.exp(X)",
    "log": "write np.log(X)",
    "sqrt": "write np.sqrt(X)",
    "abs": "write np.abs(X)",
    "relu": "write npx.relu(X)",
    "sigmoid": "write npx.sigmoid(X)",
    "tanh": "write np.tanh(X)",
    "softmax": "write npx.softmax(X)",
    "norm": "write np.linalg.norm(X)",
}
OF_BLOCKS = {
    "parameters": "write net.collect_params()",
    "named_parameters": "write net.collect_params().items()",
    "state_dict": "write net.collect_params(), or net.save_parameters(path)",
    "load_state_dict": "write net.load_parameters(path)",
    "to": "write net.initialize(ctx=mx.gpu(0)), or net.collect_params().reset_ctx(mx.gpu(0))",
    "cuda": "write net.collect_params().reset_ctx(mx.gpu(0))",
    "train": "leave it out: inside autograd.record() a net trains",
    "eval": "leave it out: outside of autograd.record() a net predicts",
    "zero_grad": "leave it out: each backward() replaces the gradients",
    "append": "write net.add(layer)",
    "fit": "write a loop: autograd.record(), backward(), trainer.step(batch_size)",
    "compile": "make a gluon.Trainer and write a loop",
    "summary": "write print(net)",
    "hybridise": "write net.hybridize()",
}
OF_TRAINERS = {
    "zero_grad": "leave it out: each backward() replaces the gradients",
    "minimize": "write backward() and trainer.step(batch_size)",
    "lr": "write trainer.learning_rate, trainer.set_learning_rate(lr)",
    "param_groups": "write trainer.learning_rate, trainer.set_learning_rate(lr)",
}
OF_NN = {
    "Conv2d": "write nn.Conv2D(channels, kernel_size)",
    "Linear": "write nn.Dense(units)",
    "MaxPool2d": "write nn.MaxPool2D(pool_size, strides)",
    "AvgPool2d": "write nn.AvgPool2D(pool_size, strides)",
    "BatchNorm2d": "write nn.BatchNorm()",
    "Module": "write nn.Block",
    "ReLU": "write nn.Activation('relu')",
    "Sigmoid": "write nn.Activation('sigmoid')",
    "Tanh": "write nn.Activation('tanh')",
    "CrossEntropyLoss": "write gluon.loss.SoftmaxCrossEntropyLoss()",
}
OPTIONS = {  # of layers
    "stride": "strides",
    "out_channels": "channels",
    "filters": "channels",
    "bias": "use_bias",
    "in_features": "in_units",
    "out_features": "units",
}


class Count(int):
    """A number that says so when it is called, as PyTorch's ``X.size()``."""

    def __call__(self, axis: int | None = None) -> NoReturn:
        raise TypeError("X.size is a number, not a function; write X.shape, or X.size without ()")


def complain(kind: str, name: str, *tables: dict[str, str]) -> AttributeError:
    """The error for a name that a ``kind`` does not have."""
    advice = next((f"; {table[name]}" for table in tables if name in table), "")
    return AttributeError(f"{kind} has no {name} in minicnn's mxnet{advice}")


def check_options(kind: str, options: dict[str, Any]) -> None:
    """Refuse what a layer does not have (TypeError); all have ``prefix`` and ``params``."""
    for name in options:
        if name not in ("prefix", "params"):
            advice = f"; write {OPTIONS[name]}" if name in OPTIONS else ""
            raise TypeError(f"{kind} has no argument {name}{advice}")


def check_layout(kind: str, layout: str) -> None:
    """Refuse pictures whose channels come last (ValueError)."""
    if layout != "NCHW":
        raise ValueError(f"{kind}: layout is {layout!r}; wanted 'NCHW': X.transpose((0, 3, 1, 2))")
