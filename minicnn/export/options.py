"""The options of ``python -m minicnn.export``, and what it does with them."""

from __future__ import annotations

import argparse
import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn import command, interop, nn, onnx
from minicnn.exchange import c
from minicnn.exchange.libraries import library
from minicnn.files import check_file, write_whole
from minicnn.terminal import say
from minicnn.train.run import classes_of, image_shape_of, load_run, load_sets

FILES = {"c": "net.c", "onnx": "net.onnx", "torch": "net.pt"}
EXAMPLES = {
    "--run runs/plus --to c": "one C file, into the run's folder",
    "--run runs/plus --to c --quantise int8 --out net.c": "the same with 8-bit integers",
    "--run runs/plus --to onnx --out net.onnx": "an ONNX file, for ONNX Runtime and others",
    "--run runs/plus --to torch --out net.pt": "a module for PyTorch",
}


class Trained(NamedTuple):
    """A run's net, and what a user of it has to know.

    Attributes:
        net: in evaluation mode.
        title: model and data set.
        image_shape: of a picture: (channels, height, width).
        classes: the classes' names; None where nobody knows them.
        normalise: ``{"mean": ..., "std": ...}`` where the net wants (pixels - mean) / std.
    """

    net: nn.Module
    title: str
    image_shape: tuple[int, ...]
    classes: tuple[str, ...] | None
    normalise: Mapping[str, Any] | None


def parser() -> command.Parser:
    """The options of ``python -m minicnn.export``."""
    about = "Hand a trained net over: as one C file, an ONNX file, or a module for PyTorch."
    p = command.Parser("export", about, EXAMPLES)
    p.add("--run", "DIR", "the folder of a training run", type=command.path, required=True)
    p.add("--to", "KIND", ", ".join(FILES), choices=list(FILES), default="c")
    names = ", ".join(FILES.values())
    p.add("--out", "FILE", "what is written", f"{names} in the run's folder", type=command.path)
    p.group("a C file")
    p.add("--name", "PREFIX", "of its public names: PREFIX_predict", "net")
    p.add(
        "--quantise",
        "KIND",
        "int8: weights and activations as 8-bit integers, with scales measured on the training "
        "pictures; the accuracy on the test set is printed and stands in the file",
        "float32",
        choices=["int8"],
    )
    p.add(
        "--data-dir",
        "DIR",
        "for int8, look for the data set's files here only",
        command.DATA,
        type=command.path,
    )
    return p


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return command.run(parser(), _export, argv)


def _export(options: argparse.Namespace) -> int:
    if options.to != "c":
        for name in ("name", "quantise", "data_dir"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} is for --to c alone")
    if options.data_dir is not None and options.quantise is None:
        raise ValueError("--data-dir is for --quantise int8 alone")
    with command.naming(options, "run"):
        net, config = load_run(options.run)
    trained = Trained(
        net,
        f"{config['model']} on {config.get('dataset')}",
        image_shape_of(config),
        classes_of(config),
        config.get("normalise"),
    )
    out = options.out or options.run / FILES[options.to]
    with command.naming(options, "out"):
        check_file(out)
    if options.to == "c":
        _to_c(trained, config, options, out)
        return 0
    with command.naming(options, "out"):
        {"onnx": _to_onnx, "torch": _to_torch}[options.to](trained, out)
    return 0


def _to_c(trained: Trained, config: dict[str, Any], options: argparse.Namespace, out: Path) -> None:
    name = "net" if options.name is None else options.name
    with command.naming(options, "name"):
        c.check_name(name)
    sets = None
    if options.quantise:
        with command.naming(options, "data_dir"):
            sets = load_sets(config, options.data_dir)
    with command.naming(options, "out"):
        made = c.export(
            trained.net,
            out,
            image_shape=trained.image_shape,
            classes=trained.classes,
            normalise=trained.normalise,
            name=name,
            title=trained.title,
            int8_from=sets,
        )
    say(f"written {out}: {trained.title}, void {name}_predict(const float *, float *)")
    say(f"{made.constant_bytes:,} bytes of constants, {made.scratch_bytes:,} bytes of scratch")
    if made.accuracy is not None and sets is not None:
        before, after = made.accuracy
        say(f"accuracy on {len(sets[1]):,} test pictures: float32 {before:.4f}, int8 {after:.4f}")
    file = shlex.quote(str(out))
    say(f"to check it: cc -std=c99 -O2 -D{name.upper()}_SELF_TEST {file} -lm && ./a.out")


def _to_onnx(trained: Trained, out: Path) -> None:
    example = np.zeros((1, *trained.image_shape), np.float32)
    known = {"classes": trained.classes, "normalise": trained.normalise}
    onnx.export(trained.net, out, example, {name: v for name, v in known.items() if v})
    say(f"written {out}: {trained.title}, for batches of any size")
    _say_input(trained)


def _to_torch(trained: Trained, out: Path) -> None:
    torch, content = library("torch"), io.BytesIO()
    torch.save(interop.to_torch(trained.net), content)
    write_whole(out, content.getvalue())
    say(f"written {out}: {trained.title}; net = torch.load({str(out)!r}, weights_only=False)")
    _say_input(trained)


def _say_input(trained: Trained) -> None:
    """Which numbers the net wants."""
    pixels = "pixels / 255"
    if trained.normalise:
        pixels = f"(pixels / 255 - {trained.normalise['mean']}) / {trained.normalise['std']}"
    shape = ", ".join(map(str, trained.image_shape))
    say(f"input: (N, {shape}), {pixels}")
