"""What readers write that TensorFlow does not have, and what to write instead."""

from __future__ import annotations

from typing import Any


class InvalidArgumentError(ValueError):
    """``tf.errors.InvalidArgumentError``: arguments that do not fit each other."""


NO_ASSIGNMENT = (
    "'tensorflow.python.framework.ops.EagerTensor' object does not support item assignment; "
    "write x = tf.Variable(x), and then x[...].assign(value)"
)
NO_LIST_INDEX = (
    "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
    "tf.int32/tf.int64 tensors are valid indices; for a list of indices write tf.gather(x, indices)"
)
NOT_BUILT = (
    "This model has not yet been built. Build the model first by calling `build()` or by calling "
    "the model on a batch of data: net.build((None, 28, 28, 1)), or net(X)"
)
NOT_COMPILED = (
    "You must compile your model before training/testing: net.compile(optimizer='sgd', "
    "loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'])"
)
CHANNELS_LAST = "; channels come last: write tf.transpose(X, [0, 2, 3, 1])"

# Names of NumPy's, PyTorch's and Gluon's arrays, and what TensorFlow has for them.
OF_TENSORS = {
    "T": "tf.transpose(x)",
    "abs": "tf.abs(x)",
    "argmax": "tf.argmax(x, axis=1)",
    "as_in_context": "x; a batch is moved to the net's device by itself",
    "as_in_ctx": "x; a batch is moved to the net's device by itself",
    "asnumpy": "x.numpy()",
    "asscalar": "float(x)",
    "assign": "x = tf.Variable(x), and then x.assign(value)",
    "assign_sub": "x = tf.Variable(x), and then x.assign_sub(value)",
    "astype": "tf.cast(x, tf.float32)",
    "attach_grad": "x = tf.Variable(x)",
    "backward": "tape.gradient(x, variables), with x computed in `with tf.GradientTape() as tape:`",
    "cpu": "x.numpy()",
    "cuda": "x; a batch is moved to the net's device by itself",
    "detach": "tf.stop_gradient(x)",
    "dim": "x.ndim",
    "exp": "tf.exp(x)",
    "flatten": "tf.reshape(x, (x.shape[0], -1))",
    "grad": "tape.gradient(loss, x), with the loss computed in `with tf.GradientTape() as tape:`",
    "item": "float(x)",
    "long": "tf.cast(x, tf.int64)",
    "max": "tf.reduce_max(x)",
    "mean": "tf.reduce_mean(x)",
    "min": "tf.reduce_min(x)",
    "numel": "tf.size(x)",
    "permute": "tf.transpose(x, perm)",
    "reshape": "tf.reshape(x, shape)",
    "requires_grad_": "x = tf.Variable(x)",
    "size": "tf.size(x), or x.shape",
    "squeeze": "tf.squeeze(x)",
    "sum": "tf.reduce_sum(x)",
    "to": "x; a batch is moved to the net's device by itself",
    "tolist": "x.numpy().tolist()",
    "transpose": "tf.transpose(x, perm)",
    "type": "tf.cast(x, tf.float32)",
    "unsqueeze": "tf.expand_dims(x, axis=0)",
    "view": "tf.reshape(x, shape)",
}

# Names of PyTorch's and Gluon's nets, and what Keras has for them.
OF_LAYERS = {
    "add_module": "net.add(layer)",
    "apply": "the layer's kernel_initializer=",
    "backward": "tape.gradient(loss, net.trainable_variables)",
    "bias_data": "layer.bias",
    "collect_params": "net.trainable_variables",
    "cpu": "tf.device('/CPU:0') around what makes the net",
    "cuda": "tf.device('/GPU:0') around what makes the net",
    "eval": "net(X, training=False)",
    "features": "net.layers",
    "forward": "call(self, X) in the class, and net(X)",
    "initialize": "the layer's kernel_initializer=; a layer is initialised when it is built",
    "kernel": "net.build(input_shape) or net(X) first",
    "bias": "net.build(input_shape) or net(X) first",
    "input": "x = layer(x) for each of net.layers: every x is a layer's output",
    "hybridize": "nothing: leave the line out",
    "load_state_dict": "net.set_weights(arrays)",
    "named_parameters": "net.trainable_variables",
    "output": "x = layer(x) for each of net.layers: every x is a layer's output",
    "parameters": "net.trainable_variables",
    "state_dict": "net.get_weights()",
    "to": "tf.device('/GPU:0') around what makes the net",
    "train": "net.fit(x, y), or net(X, training=True)",
    "weight": "layer.kernel",
    "zero_grad": "nothing: each tape has its own gradients",
}


def of_tensor(x: Any, name: str) -> str:
    """The message for a name that a tensor or variable does not have."""
    kind = "EagerTensor" if type(x).__name__ == "Tensor" else type(x).__name__
    cure = f"; write {OF_TENSORS[name]}" if name in OF_TENSORS else ""
    return f"{kind} object has no attribute '{name}'{cure}"


def of_layer(layer: Any, name: str) -> str:
    """The message for a name that a layer or model does not have."""
    cure = f"; write {OF_LAYERS[name]}" if name in OF_LAYERS else ""
    return f"'{type(layer).__name__}' object has no attribute '{name}'{cure}"


def of_optimizer(optimizer: Any, name: str) -> str:
    """The message for a name that an optimiser does not have."""
    step = "; write optimizer.apply_gradients(zip(gradients, net.trainable_variables))"
    cures = {"step": step, "zero_grad": "; leave it out: each tape.gradient computes new ones"}
    return f"'{type(optimizer).__name__}' object has no attribute '{name}'{cures.get(name, '')}"


def channels_first(shape: Any) -> bool:
    """Whether pictures look like PyTorch's: one or three channels, and then height and width."""
    return len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 3


def two_dtypes(a: Any, b: Any) -> str:
    """The message for operands of two dtypes."""
    return (
        f"the operands are a {a.dtype.name} and a {b.dtype.name} tensor; TensorFlow does not mix "
        f"them: write tf.cast(x, tf.{a.dtype.name})"
    )


def refuse(function: str, options: dict[str, Any], known: str = "") -> None:
    """Refuse arguments that cannot be honoured; None, which changes nothing, may be given.

    Raises:
        TypeError: naming the first.
    """
    for name, value in options.items():
        if value is not None:
            known = {"stride": "strides", "kernel": "kernel_size", "filter": "filters"}.get(
                name, known
            )
            there = f"; it has {known}" if known else ""
            raise TypeError(f"{function}: minicnn has no {name} (received {value!r:.60}){there}")
