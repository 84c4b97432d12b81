"""What a parameter may be given: for each annotation, and for numbers by their names.

An annotation that ``ACCEPTS`` does not know is an error: whoever writes it says here what it
takes. So it is with the name of a number, in ``RANGES``.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

import minicnn


class Nothing:
    """An object of a class that nobody knows."""

    def __repr__(self) -> str:
        return "<Nothing>"


WRONG: dict[str, Any] = {
    "None": None,
    "object": Nothing(),
    "class": Nothing,
    "text": "nonsense",
    "bytes": b"nonsense",
    "whole": 3,
    "fraction": 2.5,
    "complex": 1j,
    "list": [],
    "texts": ["x", "y"],
    "Nones": [None],
    "dict": {"x": 1},
    "objects": np.array([Nothing()], object),
    # whose cells, items and characters have no place in a message
    "cells": np.arange(2000, dtype=np.float32).reshape(40, 50) / 7,
    "integers": np.arange(2000).reshape(40, 50),
    "tensor": minicnn.Tensor(np.arange(2000, dtype=np.float32).reshape(40, 50) / 7),
    "page": "a line\n" * 400,
    "items": [*range(2000)],
    "big": 10**400,
}
CELLS = {"cells", "integers", "tensor", "items"}
LISTS = {"list", "texts", "Nones", "objects", "dict"}
ALL = set(WRONG)

# what an annotation's name stands for takes, of WRONG
ACCEPTS: dict[str, set[str]] = {
    "None": {"None"},
    "bool": ALL,  # as everywhere in Python, whatever may stand after ``if``
    "int": {"whole", "big"},
    "float": {"whole", "fraction", "big"},
    "str": {"text"},
    "Path": {"text", "page"},
    "IO[bytes]": set(),
    "Tensor": {"whole", "fraction", "list", *CELLS},  # a number is a tensor of it
    "Module": set(),
    "Optimizer": set(),
    "LRScheduler": set(),
    "Dataset": set(),
    "DataLoader": set(),
    "Sequential": set(),
    "Callable": {"class"},
    "Device": {"text"},
    "DType": {"None", "class", "text", "tensor"},  # NumPy takes what has a dtype,
    "Generator": {"None"},
    "IntOrPair": {"whole", "big"},
    "Sequence[int]": {"list", "items", "integers"},
    "Sequence[str]": {"list", "texts"},
    "Sequence[float]": {"list", "items", "cells", "integers"},
    "Sequence[Sequence[Any]]": set(),
    "Iterable[Any]": {"list", "items", "integers", "cells"},
    "NDArray[uint8]": set(),
    "Normalise": {"None"},
    "Layer": set(),
    "Predictions": set(),
    "Animator": set(),
    "Hook": {"class"},
    "Yours": set(),
    "tuple[int, ...]": {"list"},
    "tuple[Dataset, Dataset]": set(),
    "Sequence[Tensor]": set(),
    "Iterable[Tensor]": set(),
    "Iterable[int]": {"list", "items"},
    "Mapping": {"dict"},
    "Batches": set(),
    "ndarray": {"cells", "integers"},
    "tuple[float, float]": set(),
    "tuple[int, int]": set(),
    "Operation": set(),
    "Conv2d": set(),
    "AvgPool2d": set(),
    "MaxPool2d": set(),
    "Linear": set(),
    "History": set(),
    "State": set(),
    "Ranks": set(),
    "Axes": {"None", "whole", "big"},
    "Sequence[Callable]": {"list"},  # fit's after_epoch
    "Sequence[Callback]": {"list"},
    "tuple[Sequence[float]": set(),  # DataLoader's normalise
    "float, Sequence[float]": set(),
    "float]": set(),
    "Any": ALL,
}

# numbers out of range, by the parameter's name: what none of them may be
NOT_FINITE = [math.nan, math.inf, -math.inf]
SIZE = [0, -1]
NEGATIVE = [-1]
UNKNOWN = ["none of them"]
PLACE = [7, -9]
SHARE = [-0.5, 1.5, math.nan]
RATE = [-1.0, *NOT_FINITE]
ANY: list[Any] = []
RANGES: dict[str, list[Any]] = {
    **dict.fromkeys(["in_channels", "out_channels", "in_features", "out_features"], SIZE),
    **dict.fromkeys(["num_features", "groups", "kernel_size", "stride", "dilation"], SIZE),
    **dict.fromkeys(["batch_size", "epochs", "num_epochs", "step_size", "T_max", "every"], SIZE),
    **dict.fromkeys(["threads", "directions", "divide_by", "classes", "n"], SIZE),
    **dict.fromkeys(["num_rows", "num_cols", "number"], NEGATIVE),
    **dict.fromkeys(["lr", "weight_decay", "momentum", "rho"], RATE),
    **dict.fromkeys(["eps", "rtol", "atol", "scale"], RATE),
    **dict.fromkeys(["p", "label_smoothing", "dropout"], SHARE),
    **dict.fromkeys(["dampening", "gamma", "eta_min"], NOT_FINITE),
    **dict.fromkeys(["o", "c", "h", "w", "i", "j", "row", "column", "y"], PLACE),
    "largest": SIZE,
    "resize": [*SIZE, (1, 2, 3)],
    "figsize": [(0, 1), (1,)],
    "padding": [-1],
    "seed": NEGATIVE,  # NumPy's seeds may have any size
    "divisor_override": [0],
    **dict.fromkeys(["dim", "start_dim", "end_dim", "axis"], PLACE),
    "index": [-1],
    "ignore_index": ANY,
    **dict.fromkeys(["a", "b", "mean", "val", "value", "param", "start", "end", "gain"], ANY),
    "std": [-1.0],
    "step": [0],
    "alpha": ANY,
    "batch": ANY,
    "count": [0],
    "betas": [(1.5, 0.9), (0.9, math.nan), (0.9,)],
    "device": ["tpu", "gpu:x", ""],
    "dtype": ["float99", "complex64"],
    **dict.fromkeys(["reduction", "mode", "nonlinearity", "pool", "activation"], UNKNOWN),
    "init": UNKNOWN,
    "size": ANY,
}


# what a parameter that may be Any takes
ANYS: dict[tuple[str, str], set[str]] = {
    **{
        (f"explain.{f}", name): {"None"} if name == "dy" else set()
        for f in ("avg_pool2d", "conv2d", "linear", "max_pool2d", "receptive_field")
        for name in ("x", "dy")
    },
    **{("explain.cross_entropy", name): set() for name in ("logits", "target")},
    ("explain.follow", "x"): set(),
    ("explain.tape", "gradient"): {"None"},
    ("interop.from_torch", "module"): set(),
    ("onnx.export", "example"): {"None"},
    ("predict.Classifier.predict", "images"): {"text", "texts", "page", "list", "dict", "integers"},
}
# what is fine though its annotation does not say so, and why
FINE: dict[tuple[str, str], set[str]] = {
    **{(f, "stride"): {"list"} for f in ("nn.AvgPool2d", "nn.MaxPool2d")},  # none, as in PyTorch
    **{(f, "stride"): {"list"} for f in ("F.avg_pool2d", "F.max_pool2d")},
    **{(f, "dim"): {"7", "-9"} for f in ("nn.Softmax", "nn.LogSoftmax")},  # the input decides
    **{("nn.Flatten", name): {"7", "-9"} for name in ("start_dim", "end_dim")},
    ("predict.Classifier", "classes"): {
        "text",
        "page",
        "dict",
        "items",
    },  # each letter, key, number
    ("explain.tape", "gradient"): {"whole", "fraction", "big"},  # of one cell
    **{(f"explain.ExplainedConvolution.{f}_terms", "n"): {"0"} for f in ("dcolumns", "dx", "y")},
    **{(f"explain.{f}.html", "about"): {"page"} for f in ("Explained", "Followed")},
    ("explain.ExplainedConvolution.html", "about"): {"page"},
    **{("d2l.Animator", name): {"page"} for name in ("xlabel", "ylabel", "xscale", "yscale")},
    **{("d2l.Animator", name): {"text", "page", "dict", "items"} for name in ("legend", "fmts")},
    **{(f, "y"): {"7", "-9"} for f in ("d2l.Animator.add", "d2l.accuracy")},
    ("d2l.Accumulator", "n"): {"0"},
    ("d2l.Animator", "figsize"): {"None"},  # Matplotlib's own
    ("visualize.draw_mistakes", "picked"): {"list"},  # no mistakes
    **{(f"visualize.draw_{f}", "title"): {"page"} for f in ("activations", "confusion")},
    **{(f"visualize.draw_{f}", "title"): {"page"} for f in ("filters", "gradients", "mistakes")},
    ("export.to_c", "title"): {"page"},  # any text
    ("learn.diagnose", "inputs"): {"cells", "integers", "tensor"},  # a call a row
    ("nn.Module.named_modules", "prefix"): {"page"},
    ("nn.Module.register_buffer", "name"): {"page"},
    ("nn.Module.summary", "input_shape"): {"items"},  # NumPy says how many axes there may be
    ("nn.Module.train", "mode"): {"'none of them'"},  # what stands after ``if``
    ("optim.MultiStepLR", "milestones"): {"bytes"},  # integers
    # as in PyTorch
    **{
        (f"optim.{f}", n): {"fraction"}
        for f, n in (("StepLR", "step_size"), ("CosineAnnealingLR", "T_max"))
    },
    **{(f, "tensors"): {"items"} for f in ("cat", "stack")},  # numbers are tensors
    ("data.Dataset", "classes"): {"items"},  # as names
    ("nn.ZeroPad2d", "padding"): {"-1"},  # cuts off
    ("nn.BatchNorm2d", "momentum"): {"-1.0"},  # as in PyTorch
    ("F.batch_norm", "momentum"): {"-1.0"},
    **{(f, "name"): set(WRONG) for f in ("data.Dataset", "data.from_arrays")},  # only printed
    ("data.from_arrays", "classes"): {"whole", "items"},  # a number of classes
    **{(f"Tensor.{f}", "axis"): {"list"} for f in ("max", "mean", "sum")},  # a list as a tuple
    **{(f"Tensor.{f}", "dim"): {"list"} for f in ("mean", "sum")},
    **{(f, "size"): {"whole"} for f in ("zeros", "ones", "rand", "randn")},  # one axis
}
# other words for a parameter in messages: of what is shared by several
ALIASES: dict[str, str] = {
    **dict.fromkeys(["folder", "file", "root", "resume"], "path"),
    **dict.fromkeys(["input", "weight", "bias", "running_mean", "running_var"], "data"),
    **dict.fromkeys(["tensors", "train", "source"], "data"),
    "type": "device",
    **dict.fromkeys(["test", "validation"], "loader"),
    "dim": "axis",
    "data_dir": "path",
    "train_iter": "train|data_iter",
    "test_iter": "test|data_iter|loader",
    "dataset": "name",
    "num_epochs": "epochs",
    **dict.fromkeys(["o", "c", "h", "w", "i", "j", "row", "column"], "index"),
    "n": "index",
    "parts": "svg",
    "logits": "classes",
    "gradient": "data",
    "tensor": "Tensor",
    "example": "input|data",
    "images": "picture",
    "sha256": "SHA-256",
    "dropout": "Dropout",
    "target": "data|dtype",
    "other": "reshape",
    "value": "data|input array",
    "name": "model|init",
    "module": "modules",
    "inputs": "input",
    "stride": "kernel_size",
}


def parts_of(annotation: str) -> list[str]:
    """The names that a union is made of, without the modules before them."""
    plain = re.sub(r"\b(?:\w+\.)+(?=\w)", "", annotation)
    plain = re.sub(r"Callable\[\[.*?\], [^|\]]*\]|Callable\[\.\.\., \w+\]", "Callable", plain)
    plain = re.sub(r"Mapping\[.*\]", "Mapping", plain)
    if union := re.fullmatch(r"Union\[(.*)\]", plain):
        plain = union[1].replace(", ", " | ")
    return [part.strip() for part in plain.split(" | ")]


def wrong_for(annotation: str) -> dict[str, Any]:
    """Those of ``WRONG`` that a parameter of this annotation does not take.

    Raises:
        KeyError: an annotation that ``ACCEPTS`` does not know.
    """
    taken = set().union(*(ACCEPTS[part] for part in parts_of(annotation)))
    return {label: value for label, value in WRONG.items() if label not in taken}
