"""Right values for the parameters of every public function, and objects for its methods."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn import d2l, data, explain, learn, nn, optim
from tests.hostile import makers


def tensor(*shape: int) -> minicnn.Tensor:
    return minicnn.Tensor(np.random.default_rng(0).random(shape, np.float32))


def _dataset() -> data.Dataset:
    return data.Dataset(np.zeros((6, 4, 5), np.uint8), np.arange(6) % 2, 2)


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(20, 2))


def _optimizer() -> optim.Optimizer:
    return optim.SGD([nn.Parameter(np.ones(3, np.float32))], lr=0.1)


@functools.cache
def _trained() -> nn.Sequential:
    return _net()


# right values of parameters without a default, by name; and of a function's own
USUAL: dict[str, Callable[[], Any]] = {
    "input": lambda: tensor(2, 3, 6, 5),
    "weight": lambda: tensor(4, 3, 3, 2),
    "tensor": lambda: tensor(4, 3),
    "tensors": lambda: [tensor(2, 3), tensor(2, 3)],
    "kernel_size": lambda: 2,
    **dict.fromkeys(["in_channels", "out_channels", "in_features", "out_features"], lambda: 4),
    "num_features": lambda: 4,
    "dim": lambda: 1,
    "padding": lambda: 1,
    "data": lambda: [1.0, 2.0],
    "params": lambda: [nn.Parameter(np.ones(3, np.float32))],
    "optimizer": _optimizer,
    "net": _net,
    "dataset": _dataset,
    "loader": _dataset,
    "train": _dataset,
    "array": lambda: np.ones(3, np.float32),
    "fn": lambda: lambda x: x * x,
    "inputs": lambda: [minicnn.Tensor(np.ones(3), requires_grad=True)],
    "gamma": lambda: 0.5,
    "T_max": lambda: 3,
    "step_size": lambda: 2,
    "milestones": lambda: [2, 3],
    "lr_lambda": lambda: lambda epoch: 1.0,
    "seed": lambda: 1,
    "threads": lambda: 1,
    "start": lambda: 3,
    "type": lambda: "cpu",
    "nonlinearity": lambda: "relu",
    "val": lambda: 2.0,
    "images": lambda: np.zeros((6, 4, 5), np.uint8),
    "labels": lambda: np.arange(6) % 2,
    "classes": lambda: 2,
    "number": lambda: 2,
    "target": lambda: np.array([0, 2]),
    "pad": lambda: [1, 0],
    "operation": lambda: minicnn.ops.Exp(),
    "other": lambda: 2.0,
    "value": lambda: 1.5,
    "source": lambda: np.ones((2, 3, 6, 5), np.float32),
}
FILES = {  # of the folder that ``files`` fills
    "Checkpoint": "state",
    "d2l.Animator.save": "curves.png",
    "explain.Tape.save": "tape.svg",
    "export.to_c": "net.c",
    "interop.load_state_dict": "net.pt",
    "onnx.export": "net.onnx",
    "onnx.load": "read.onnx",
    "predict.Classifier.from_run": "",
    "save": "saved.safetensors",
    "load": "model.safetensors",
    "load_run": "",
    "data.from_csv": "x.csv",
    "data.from_folder": "x.csv",
    "data.from_idx": "idx",
    "data.from_npz": "x.npz",
    "data.from_pictures": "pictures",
    "data.read_idx": "idx/train-images-idx3-ubyte",
    "data.read_picture": "pictures/a/1.png",
}


@functools.cache
def files() -> Path:
    """A folder with a file of every kind."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    makers.run(folder)
    makers.csv(folder / "x.csv")
    makers.npz(folder / "x.npz")
    (folder / "idx").mkdir()
    makers.idx_files(folder / "idx", "")
    if find_spec("torch"):
        import torch

        torch.save(torch.nn.Linear(3, 2).state_dict(), folder / "net.pt")
    if find_spec("onnx"):
        minicnn.onnx.export(_seeing(), folder / "read.onnx", tensor(1, 1, *makers.SIDE))
    for name in "ab":
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(2):
            makers.picture(folder / "pictures" / name / f"{i}.png", "L")
    return folder


OWN: dict[tuple[str, str], Callable[[], Any]] = {
    ("data.from_csv", "size"): lambda: makers.SIDE,
    ("data.from_folder", "size"): lambda: makers.SIDE,
    ("data.mean_and_std", "dataset"): lambda: data.Dataset(makers.images(4), [0, 1, 0, 1], 2),
    ("fit", "net"): _trained,
    ("fit", "optimizer"): lambda: optim.SGD(_trained().parameters(), lr=0.1),
    ("fit", "epochs"): lambda: 1,
    ("fit", "quiet"): lambda: True,
    ("F.linear", "input"): lambda: tensor(2, 3),
    ("F.linear", "weight"): lambda: tensor(4, 3),
    ("F.cross_entropy", "input"): lambda: tensor(2, 3),
    ("F.nll_loss", "input"): lambda: tensor(2, 3),
    ("F.batch_norm", "running_mean"): lambda: None,
    ("F.batch_norm", "running_var"): lambda: None,
    ("F.batch_norm", "training"): lambda: True,
    ("Tensor.to", "target"): lambda: "float64",
    ("Tensor.view_as", "other"): lambda: tensor(6, 30),
    ("Tensor.backward", "gradient"): lambda: np.ones((2, 3, 6, 5), np.float32),
    ("models.build", "name"): lambda: "mlp",
    ("models.defaults", "name"): lambda: "mlp",
    ("models.initializer", "name"): lambda: "normal",
    ("data.load", "name"): lambda: "fashion-mnist-sample",
    ("save", "obj"): _net,
    ("minicnn.compile", "loss"): nn.CrossEntropyLoss,
}


def _pictures() -> data.Dataset:
    return data.Dataset(makers.images(6), np.arange(6) % 2, ("ant", "bee"))


def _seeing() -> nn.Sequential:
    """A net for the pictures of ``_pictures``."""
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))


def _layer() -> Any:
    from minicnn import visualize

    return visualize.layers(_seeing())[0]


def _predictions() -> Any:
    from minicnn import visualize

    return visualize.predict(_seeing(), _pictures())


def _classifier() -> Any:
    return minicnn.Classifier(_seeing(), ("ant", "bee"), (1, *makers.SIDE))


@functools.cache
def _fitted() -> Any:
    from minicnn.sklearn import CNNClassifier

    return CNNClassifier("mlp", epochs=1, random_state=0).fit(*_table())


def _table() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).random((6, 20), np.float32), np.arange(6) % 2


def _explained() -> explain.Explained:
    return explain.linear(nn.Linear(3, 2), tensor(2, 3))


OBJECTS: dict[str, Callable[[], Any]] = {  # where it takes more than a right call of the class
    "Tensor": lambda: tensor(2, 3, 6, 5),
    "nn.Module": _net,
    "nn.Sequential": _net,
    "optim.Optimizer": _optimizer,
    "explain.Explained": _explained,
    "explain.ExplainedConvolution": lambda: explain.conv2d(nn.Conv2d(1, 2, 2), tensor(1, 1, 3, 4)),
    "explain.Followed": lambda: explain.follow(_seeing(), makers.images(1) / 255, 1),
    "explain.Tape": lambda: explain.tape(_recorded()),
    "predict.Classifier": _classifier,
    "predict.Prediction": lambda: _classifier().predict(makers.images(1)[0]),
    "learn.Diagnosis": lambda: learn.diagnose(abs, abs, [[2]]),
    "sklearn.CNNClassifier": _fitted,
}


def _batch() -> tuple[np.ndarray, np.ndarray]:
    return tensor(6, 20).numpy(), np.arange(6) % 2


def _loader() -> data.DataLoader:
    return data.DataLoader(_dataset(), batch_size=3)


def _updater() -> optim.Optimizer:
    return optim.SGD(_trained().parameters(), lr=0.1)


def _stepped() -> list[nn.Parameter]:
    """A parameter with a gradient."""
    parameter = nn.Parameter(np.ones(3, np.float32))
    parameter.sum().backward()
    return [parameter]


def _module() -> Any:
    import torch

    return torch.nn.Linear(3, 2)


def _recorded() -> minicnn.Tensor:
    return _net()(tensor(2, 20)).sum()


MORE: dict[str, dict[str, Callable[[], Any]]] = {  # of the rooms above the engine
    "explain.linear": {"layer": lambda: nn.Linear(3, 2), "x": lambda: tensor(2, 3)},
    "explain.conv2d": {"conv": lambda: nn.Conv2d(1, 2, 2), "x": lambda: tensor(1, 1, 3, 4)},
    "explain.avg_pool2d": {"layer": lambda: nn.AvgPool2d(2), "x": lambda: tensor(1, 1, 4, 4)},
    "explain.max_pool2d": {"layer": lambda: nn.MaxPool2d(2), "x": lambda: tensor(1, 1, 4, 4)},
    "explain.receptive_field": {
        "first": lambda: nn.Conv2d(1, 1, 2),
        "second": lambda: nn.Conv2d(1, 1, 2),
        "x": lambda: tensor(1, 1, 4, 5),
    },
    "explain.cross_entropy": {"logits": lambda: tensor(2, 3), "target": lambda: [0, 2]},
    "explain.follow": {"net": _seeing, "x": lambda: makers.images(1) / 255, "y": lambda: 1},
    "explain.tape": {"tensor": _recorded},
    "explain.Followed.function": {"array": lambda: "conv1.dW"},
    "explain.Followed.terms": {"array": lambda: "conv1.dW"},
    "explain.Followed.paths": {"array": lambda: "conv1.dW"},
    "explain.Followed.value": {"array": lambda: "conv1.dW"},
    **{
        f"explain.ExplainedConvolution.{name}_terms": dict.fromkeys(axes, lambda: 0)
        for name, axes in {
            "y": ["n", "o", "h", "w"],
            "dx": ["n", "c", "i", "j"],
            "dweight": ["o", "c", "i", "j"],
            "dbias": ["o"],
            "dcolumns": ["n", "row", "column"],
        }.items()
    },
    "visualize.activations": {"net": _seeing, "layer": _layer, "images": lambda: makers.images(4)},
    "visualize.confusion": {"predictions": _predictions},
    "visualize.draw_activations": {
        "net": _seeing,
        "layer": _layer,
        "test": _pictures,
        "chosen": lambda: [0, 1],
        "title": lambda: "lenet",
    },
    "visualize.draw_confusion": {
        "counts": lambda: np.array([[3, 1], [1, 3]]),
        "classes": lambda: ["ant", "bee"],
        "title": lambda: "lenet",
    },
    "visualize.draw_filters": {
        "net": _seeing,
        "picture": lambda: makers.SIDE,
        "title": lambda: "lenet",
    },
    "visualize.draw_gradients": {
        "norms": lambda: np.ones((3, 2)),
        "names": lambda: ["a", "b"],
        "title": lambda: "lenet",
    },
    "visualize.draw_mistakes": {
        "predictions": _predictions,
        "test": _pictures,
        "picked": lambda: np.array([1, 2]),
        "title": lambda: "lenet",
    },
    "visualize.filters": {"layer": _layer, "picture": lambda: makers.SIDE},
    "visualize.gradient_norms": {"net": _seeing, "dataset": _pictures},
    "visualize.layers": {"net": _seeing},
    "visualize.most_confused": {"counts": lambda: np.array([[3, 1], [1, 3]])},
    "visualize.most_wrong": {"predictions": _predictions, "count": lambda: 2},
    "visualize.predict": {"net": _seeing, "dataset": _pictures},
    "d2l.Accumulator": {"n": lambda: 2},
    "d2l.Animator.add": {"x": lambda: 1, "y": lambda: [0.5]},
    "d2l.accuracy": {"y_hat": lambda: tensor(6, 2), "y": lambda: np.arange(6) % 2},
    "d2l.evaluate_accuracy": {"net": _trained, "data_iter": _loader},
    "d2l.evaluate_accuracy_gpu": {"net": _trained, "data_iter": _loader},
    "d2l.init_weights": {"m": lambda: nn.Linear(3, 2)},
    "d2l.install": {"framework": lambda: "mxnet"},
    "d2l.load_data_fashion_mnist": {
        "batch_size": lambda: 100,
        "dataset": lambda: "fashion-mnist-sample",
    },
    "d2l.sgd": {"params": _stepped, "lr": lambda: 0.1, "batch_size": lambda: 3},
    "d2l.show_images": {
        "imgs": lambda: makers.images(2),
        "num_rows": lambda: 1,
        "num_cols": lambda: 2,
    },
    "d2l.size": {"a": lambda: tensor(2, 3)},
    "d2l.train_ch3": {
        "net": _trained,
        "train_iter": _loader,
        "test_iter": _loader,
        "loss": nn.CrossEntropyLoss,
        "num_epochs": lambda: 1,
        "updater": _updater,
    },
    "d2l.train_ch5": {
        "net": _trained,
        "train_iter": _loader,
        "test_iter": _loader,
        "batch_size": lambda: 3,
        "optimizer": _updater,
        "num_epochs": lambda: 1,
    },
    "d2l.train_ch6": {
        "net": _net,
        "train_iter": _loader,
        "test_iter": _loader,
        "num_epochs": lambda: 1,
        "lr": lambda: 0.1,
    },
    "d2l.train_epoch_ch3": {
        "net": _trained,
        "train_iter": _loader,
        "loss": nn.CrossEntropyLoss,
        "updater": _updater,
    },
    "export.to_c": {"net": _seeing, "image_shape": lambda: (1, *makers.SIDE)},
    "interop.from_torch": {"module": _module},
    "onnx.export": {"net": _seeing, "example": lambda: tensor(1, 1, *makers.SIDE)},
    "predict.Classifier": {
        "net": _seeing,
        "classes": lambda: ("ant", "bee"),
        "shape": lambda: (1, *makers.SIDE),
    },
    "sklearn.CNNClassifier": {"epochs": lambda: 1, "model": lambda: "mlp"},
    "predict.Classifier.predict": {"images": lambda: makers.images(1)[0]},
    **{
        f"sklearn.CNNClassifier.{f}": {"X": lambda: _table()[0]}
        for f in ("predict", "predict_proba")
    },
    **{
        f"sklearn.CNNClassifier.{f}": {"X": lambda: _table()[0], "y": lambda: _table()[1]}
        for f in ("fit", "partial_fit")
    },
    "learn.diagnose": {
        "fn": lambda: abs,
        "reference": lambda: abs,
        "inputs": lambda: [[2], [3]],
    },
    "learn.grade": {"number": lambda: 1, "fn": lambda: learn.COURSE[1].right},
    "nn.Module.apply": {"function": lambda: print},
    "nn.Module.load_state_dict": {"state": lambda: _net().state_dict()},
    "nn.Module.register_buffer": {"name": lambda: "mean", "tensor": lambda: tensor(3)},
    "nn.Module.register_forward_hook": {"hook": lambda: lambda *_: None},
    "nn.Module.summary": {"input_shape": lambda: (2, 4, 5)},
    "nn.Module.to": {"target": lambda: "float64"},
    "nn.Sequential.append": {"module": nn.ReLU},
    "nn.Sequential.forward": {"input": lambda: tensor(2, 4, 5)},
    "nn.Linear.forward": {"input": lambda: tensor(2, 4)},
    **{
        f"nn.{kind}.forward": {"input": lambda: tensor(2, 4, 6, 5)}
        for kind in ("BatchNorm2d", "Conv2d")
    },
    **{
        f"nn.{kind}.forward": {"input": lambda: tensor(2, 3)}
        for kind in ("CrossEntropyLoss", "NLLLoss")
    },
}
THEN: dict[str, Callable[[Any], Any]] = {  # where an argument is looked at later
    "sklearn.CNNClassifier": lambda made: made.fit(*_table()),
    "d2l.install": lambda _: d2l.uninstall(),
}
OWN.update({(f, name): value for f, own in MORE.items() for name, value in own.items()})
