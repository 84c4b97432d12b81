"""Helpers of *Dive into Deep Learning* that ``minicnn.d2l`` does not have.

Each with the edition that it belongs to, and what to write instead.
"""

from __future__ import annotations

FIRST, SECOND, SITE = "the first edition", "the second edition", "today's site"

INSTEAD = {
    "Classifier": (SITE, "write an nn.Module or nn.Sequential, train it with minicnn.fit"),
    "DataModule": (SITE, "use data.Dataset and data.DataLoader"),
    "FashionMNIST": (SITE, "use d2l.load_data_fashion_mnist(batch_size)"),
    "HyperParameters": (SITE, "write self.x = x in __init__"),
    "Module": (SITE, "write an nn.Module, train it with minicnn.fit"),
    "ProgressBoard": (SITE, "use d2l.Animator"),
    "Trainer": (SITE, "use minicnn.fit(net, batches, test_batches, optimizer=..., epochs=...)"),
    "add_to_class": (SITE, "write the method into its class"),
    "init_cnn": (SITE, "use net.apply(d2l.init_weights)"),
    "corr2d": ("every edition", "use nn.functional.conv2d(X[None, None], K[None, None])[0, 0]"),
    "evaluate_loss": (SECOND, "average the loss over the batches, in minicnn.no_grad()"),
    "get_dataloader_workers": (SECOND, "leave it out: batches are cut in this process"),
    "linreg": (SECOND, "write X @ w + b"),
    "load_array": (SECOND, "use data.DataLoader(data.Dataset(images, labels, classes), size)"),
    "num_gpus": (SITE, "use d2l.try_gpu()"),
    "plot": (SECOND, "use d2l.Animator"),
    "predict_ch3": (
        SECOND,
        "use d2l.show_images(X, 1, len(X), d2l.get_fashion_mnist_labels(net(X).argmax(1)))",
    ),
    "semilogy": (FIRST, 'use d2l.Animator(yscale="log")'),
    "set_axes": (SECOND, "give d2l.Animator its labels and limits"),
    "set_figsize": (SECOND, "use d2l.Animator(figsize=...), d2l.show_images(scale=...)"),
    "show_fashion_mnist": (FIRST, "use d2l.show_images(images, 1, len(images), labels)"),
    "squared_loss": (SECOND, "write (y_hat - y.reshape(y_hat.shape)) ** 2 / 2"),
    "synthetic_data": (SECOND, "write X @ w + b + noise, with minicnn.randn"),
    "try_all_gpus": (SECOND, "use [d2l.try_gpu()]: a net is trained on one device"),
    "use_svg_display": (SECOND, "leave it out: a notebook shows figures as they are drawn"),
}

# The second edition's functions that are the same in all of its frameworks.
SAME = {
    "abs": "abs(x)",
    "arange": "minicnn.arange",
    "argmax": "x.argmax(axis)",
    "astype": "x.to(dtype)",
    "concat": "minicnn.cat",
    "cos": "numpy.cos(x.numpy())",
    "eye": "minicnn.tensor(numpy.eye(n))",
    "exp": "x.exp()",
    "float32": "numpy.float32",
    "int32": "numpy.int32",
    "log": "x.log()",
    "matmul": "x @ y",
    "meshgrid": "numpy.meshgrid",
    "normal": "minicnn.randn(*shape) * std + mean",
    "numpy": "x.numpy()",
    "ones": "minicnn.ones",
    "rand": "minicnn.rand",
    "randn": "minicnn.randn",
    "reduce_mean": "x.mean()",
    "reduce_sum": "x.sum()",
    "reshape": "x.reshape(shape)",
    "sin": "numpy.sin(x.numpy())",
    "stack": "minicnn.stack",
    "tensor": "minicnn.tensor",
    "to": "x.to(device)",
    "transpose": "x.T",
    "zeros": "minicnn.zeros",
    "zeros_like": "minicnn.zeros(x.shape)",
}


def complaint(name: str) -> str:
    """The message for a name that ``minicnn.d2l`` does not have."""
    edition, instead = INSTEAD.get(name, ("", ""))
    if name in SAME:
        edition, instead = SECOND, f"write {SAME[name]}"
    if not edition:
        return f"minicnn.d2l has no name {name}; it has the helpers of the LeNet chapters"
    return f"d2l.{name} of {edition} is not here; {instead}"
