"""Where minicnn differs from PyTorch on purpose, among PyTorch's own samples."""

from __future__ import annotations

from .tally import Difference

# of operations: "name(arguments): what differs"
OPERATIONS = [
    # what is not offered
    Difference(
        r"^nn\.functional\.(conv2d|linear|max_pool2d|avg_pool2d)\(int64.*: TypeError: ",
        1495,
        "Layers take float32 and float64 only: pixels that were not converted are a mistake.",
    ),
    Difference(
        r"^(log_)?softmax\.with_dtype\(.*'dtype'",
        42,
        "softmax and log_softmax have no argument dtype: write x.to(dtype) before.",
    ),
    Difference(
        r"^(add|sub)\(.*'alpha'",
        24,
        "Arithmetic is written with operators, which take no alpha: a + alpha * b.",
    ),
    Difference(
        r"^to\(.*(True|False), (True|False), memory_format",
        72,
        "to takes one dtype or one device at a time, and neither non_blocking nor copy.",
    ),
    Difference(
        r"^(cat|arange)\(.*'out'",
        5,
        "No function writes into a tensor given as out; such a call is refused as any other with "
        "an unknown argument.",
    ),
    Difference(
        r"^cat\(.*float16",
        3,
        "There is no float16, and tensors of different dtypes are not joined.",
    ),
    Difference(
        r"^cat\([(\[]\w+\[0\], \w+\[\d",
        6,
        "By an old rule of PyTorch's an empty tensor of one axis fits to any shape; here all must "
        "fit, as in NumPy.",
    ),
    Difference(
        r"^nn\.functional\.batch_norm\(float\d\d\[0\], .*: ValueError",
        4,
        "Batch normalisation wants an axis of channels: (N, C, ...), not (N,).",
    ),
    # NumPy's way
    Difference(
        r"^transpose\(",
        24,
        "transpose is NumPy's: it takes an order of all axes. PyTorch's swaps two; its permute is "
        "ours. (On a matrix PyTorch's transpose(0, 1) turns it, NumPy's leaves it.)",
    ),
    Difference(
        r"^(pow|__rpow__)\(int64.*negative integer powers",
        86,
        "An integer to a negative integer power is refused, as by NumPy; PyTorch cuts the fraction "
        "off.",
    ),
    Difference(
        r"^arange\(.*dtype=torch\.int64",
        7,
        "arange of integers from numbers that are none: NumPy counts first and cuts the fractions "
        "off after, PyTorch the other way round.",
    ),
    Difference(
        r"^arange\(.*upper bound and lower bound inconsistent",
        3,
        "arange whose step leads away from its end holds nothing, as Python's range.",
    ),
    Difference(
        r"^mean\(int64",
        1,
        "The mean of integers is float32, as all that is computed from integers and is none.",
    ),
    Difference(
        r"^amax\(float32\[5, 0, 5\], dim=1\): refused by ValueError",
        1,
        "The maximum of nothing is NumPy's ValueError.",
    ),
    # operators of Python
    Difference(
        r"^(add|sub|mul|pow|true_divide|div\.\w+)\([-\d.e]+, [-\d.e]+\): a (int|float);",
        30,
        "Python's own operator computes with two Python numbers: the result is no tensor.",
    ),
    Difference(
        r"^(eq|ne|lt|le|gt|ge|pow|__r\w+__)\(\d, (\d|int64\[3\])\): ",
        21,
        "PyTorch's functions refuse a Python number on the left; an operator takes it.",
    ),
    Difference(
        r"^(add|sub|mul|div\.no_rounding_mode)_\([-\d.]+, .*AttributeError: '(int|float)' object",
        48,
        "A Python number is not written to, and has no such method.",
    ),
    Difference(
        r"^__rsub__\([-\d.]+, ",
        6,
        "PyTorch's sample calls the method of a Python number; the operator works here.",
    ),
]

# of layers and losses: "Layer(arguments)(inputs): what differs"
MODULES = [
    Difference(
        r"^BatchNorm2d\(3, bias=False\).*'bias'",
        4,
        "Batch normalisation has weight and bias, or with affine=False neither.",
    ),
]

# of optimisers and schedules: "Optimiser(dtype; settings): what differs"
OPTIMIZERS = [
    Difference(
        r"^\w+\(\[\{params: .* params holds a dict",
        8,
        "There are no groups of parameters: an optimiser for each. They are refused by TypeError.",
    ),
    Difference(
        r"^\w+\(\[\('weight', .* params holds a tuple",
        4,
        "Parameters have no names here: tensors alone are taken, the others refused by TypeError.",
    ),
    Difference(
        r"lr=float32\[.*\]\): .*lr is Tensor\(|betas=\(.*betas\[\d\] is Tensor\(",
        10,
        "Settings are numbers: of a tensor its item(). Tensors are refused by TypeError.",
    ),
    Difference(
        r"'foreach'",
        4,
        "One kernel updates a parameter; no argument chooses another way.",
    ),
    Difference(
        r"^\w+: .*: no (ConstantLR|LinearLR|PolynomialLR|ReduceLROnPlateau)",
        14,
        "Schedules that the engine does not have.",
    ),
]
