"""Every reader of files that the engine has, and what may come of a damaged one."""

from __future__ import annotations

import gzip
import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn import checkpoint, compare, data, predict
from minicnn.d2l.book.options import read as read_chapter
from minicnn.predict.reading import PictureError
from minicnn.sweep import record
from minicnn.sweep.plan import Run as SweepRun
from minicnn.train import kept, options
from minicnn.train import run as runs
from minicnn.train import state as states
from tests.hostile import makers, second

Inside = Callable[[bytes], bytes]


class Reader(NamedTuple):
    """A reader, the right file that is damaged for it, and how what it reads is judged.

    Attributes:
        file: of the folder that ``make`` fills: what is damaged.
        make: fills a folder.
        read: what is tried: gives arrays, texts and numbers, of the folder.
        errors: what it may raise, in one line that names the file.
        is_right: whether what was read, of a file that is not the right one, is what the file
            says. Nothing may differ from the right file where it always gives False: a checksum.
        unpack, pack: the content within a compression or under a checksum, and the way back; the
            content is damaged every other time.
        exits: the reader is a command: it ends with status 2 and a line on stderr.
    """

    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...]
    is_right: Callable[[bytes, Any], bool]
    unpack: Inside | None = None
    pack: Inside | None = None
    exits: bool = False


def same(a: Any, b: Any) -> bool:
    """Whether two readings are the same: numbers bit for bit, nan too."""
    if isinstance(a, np.ndarray | np.generic) and isinstance(b, np.ndarray | np.generic):
        a, b = np.asarray(a), np.asarray(b)
        native = a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=")
        return native and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)


def never(content: bytes, found: Any) -> bool:
    """A file with a checksum: what differs from the right one has to be refused."""
    return False


# Data ---------------------------------------------------------------------------------------------


def _arrays_of(sets: tuple[data.Dataset, data.Dataset]) -> list[Any]:
    return [array for part in sets for array in (part.images, part.labels, list(part.classes))]


def _places(labels: np.ndarray) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _is_idx(content: bytes, found: Any) -> bool:
    return same(found, second.idx(content))


def _is_part(content: bytes, found: list[Any]) -> bool:
    """The training images of ``found`` are the file's."""
    return same(found[0], second.idx(content).astype(np.uint8))


def _is_npz(content: bytes, found: list[Any]) -> bool:
    arrays = second.npz(content)
    images, labels = arrays["x_train"], arrays["y_train"].ravel()
    return np.array_equal(found[0], _plain(images)) and np.array_equal(found[1], _places(labels))


def _plain(images: np.ndarray) -> np.ndarray:
    """Without an axis of one channel, which may stand last."""
    if images.ndim == 4 and images.shape[-1] in (1, 3, 4):
        images = images.transpose(0, 3, 1, 2)
    return images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images


def _is_table(content: bytes, found: list[Any]) -> bool:
    """All lines, some for training and some for testing, each class's own."""
    rows = second.table(content)
    count = sum(len(part) for part in (found[0], found[3]))
    pixels = np.concatenate([found[0], found[3]]).reshape(count, -1)
    labels = np.array([int(found[2][k]) for k in [*found[1], *found[4]]])
    ours = np.column_stack([labels, pixels])
    return sorted(map(tuple, ours.tolist())) == sorted(map(tuple, rows.tolist()))


def _unzipped(content: bytes) -> bytes:
    """The members of a zip archive, one after the other, with a line before each."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"".join(
            f"== {name}\n".encode() + archive.read(name) + b"\n" for name in archive.namelist()
        )


def _zipped(content: bytes) -> bytes:
    """The way back of ``_unzipped``, whatever the members are now."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for part in content.split(b"== ")[1:]:
            name, _, member = part.partition(b"\n")
            archive.writestr(name.decode("latin1").strip("\0") or "x", member.removesuffix(b"\n"))
    return file.getvalue()


# Pictures -----------------------------------------------------------------------------------------


def _is_picture(content: bytes, found: Any) -> bool:
    """The size is right; numbers in a picture without a checksum may be any."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        sizes = (picture.size, picture.size[::-1])  # it may lie on its side
        return found.dtype == np.uint8 and found.shape[-2:][::-1] in sizes


def _is_seen(content: bytes, found: Any) -> bool:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        sizes = [picture.size, picture.size[::-1]]
        if max(picture.size) > predict.reading.LARGEST:
            sizes = [found.shape[1::-1]]  # it was reduced
        whole = bool(np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1)
        return whole and found.shape[:2][::-1] in sizes


def _picture(name: str, mode: str) -> dict[str, Reader]:
    file = f"x.{name}"

    def make(folder: Path) -> None:
        makers.picture(folder / file, mode)

    own = Reader(file, make, lambda f: data.read_picture(f / file), (ValueError,), _is_picture)
    seen = Reader(
        file, make, lambda f: predict.reading.read(f / file).pixels, (PictureError,), _is_seen
    )
    return {f"{name} {mode}, to train on": own, f"{name} {mode}, to predict": seen}


# Nets and trainings -------------------------------------------------------------------------------


def _header_first(content: bytes) -> bytes:
    """A safetensors file without the length of its header, which ``_with_length`` puts back."""
    return content[8:]


def _with_length(content: bytes) -> bytes:
    """The header ends with the last brace that stands at the end of all objects' braces."""
    depth, size = int(content[:1] == b"{"), 1
    while depth and size < len(content):
        depth += (content[size] == ord("{")) - (content[size] == ord("}"))
        size += 1
    while size % 8 and content[size : size + 1] == b" ":  # numbers begin at a multiple of 8
        size += 1
    return size.to_bytes(8, "little") + content[:size] + content[size:]


def _sealed(content: bytes) -> bytes:
    """A state of a training with the SHA-256 that its bytes have."""
    start = content.find(states.SEAL) + len(states.SEAL)
    digest = states._digest_without(content, start)
    return content[:start] + digest + content[start + states.DIGITS :]


def _numbers(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _is_safetensors(content: bytes, found: Any) -> bool:
    return same(found, second.safetensors(content)[0])


def _read_state(folder: Path) -> Any:
    """What a training has after it was brought there."""
    training = makers.training()
    states.restore(training, folder / "state.safetensors")
    return _numbers(training.net.state_dict()), vars(training.history), training.epoch


def _is_state(content: bytes, found: Any) -> bool:
    arrays, metadata = second.safetensors(content)
    facts = json.loads(metadata["state"])
    net = {name: arrays[f"net.{name}"] for name in found[0]}
    return same(found, (net, facts["history"], facts["epoch"]))


def _read_kept(folder: Path) -> Any:
    return [list(kept.read_state(path)) for path in kept.state_files(folder).values()]


def _is_kept(content: bytes, found: Any) -> bool:
    """The middle one of three is the damaged one."""
    arrays, metadata = second.safetensors(content)
    _, net, gradient, velocity, step = found[1]
    ours = {f"net.{n}": a for n, a in net.items()}
    ours |= {f"gradient.{n}": a for n, a in gradient.items()}
    ours |= {f"velocity.{n}": a for n, a in velocity.items()}
    ours = {name: ours[name] for name in arrays}
    return same((ours, step), (arrays, json.loads(metadata["step"])))


def _read_run(folder: Path) -> Any:
    """The net, and all that commands take from the configuration."""
    net, config = runs.load_run(folder)
    about = runs.classes_of(config), runs.image_shape_of(config), runs.normalise_of(config)
    return _numbers(net.state_dict()), about, config


def _is_run(content: bytes, found: Any) -> bool:
    config = json.loads(content)
    return same(found[2], config) and found[1][1] == (1, *makers.SIDE)


def _is_net(content: bytes, found: Any) -> bool:
    arrays = second.safetensors(content)[0]
    return same(found[0], {name: arrays[name] for name in found[0]}) and len(arrays) == len(
        found[0]
    )


def _read_measured(folder: Path) -> Any:
    """What ``python -m minicnn.compare`` prints and draws."""
    run = compare.read(folder)
    compare.table([run])
    compare.draw([run])
    return run.epochs, run.curve, compare.as_json([run])["runs"][0]["results"]


def _is_measured(place: int) -> Callable[[bytes, Any], bool]:
    def is_right(content: bytes, found: Any) -> bool:
        return same(found[place], [json.loads(line) for line in content.decode().splitlines()])

    return is_right


def _read_sweep(folder: Path) -> Any:
    made = record.Record(folder, SWEEP)
    return made.asked, made.threads


SWEEP = [SweepRun("lr=0.1", {"lr": 0.1, "seed": 0}, {"lr": 0.1, "seed": 0})]


def _make_sweep(folder: Path) -> None:
    made = record.Record(folder, SWEEP)
    made.threads = 2
    made.write({})


def _is_sweep(content: bytes, found: Any) -> bool:
    then = json.loads(content)
    return same(found[1], then["threads"]) and then["asked"].items() <= found[0].items()


# Options ------------------------------------------------------------------------------------------


def _read_options(file: str) -> Callable[[Path], Any]:
    return lambda folder: vars(options.parser().parse(["--config", str(folder / file)]))


def _is_toml(content: bytes, found: Any) -> bool:
    import tomllib

    return _are_options(tomllib.loads(content.decode()), found)


def _is_config(content: bytes, found: Any) -> bool:
    return _are_options(json.loads(content)["options"], found)


def _are_options(said: dict[str, Any], found: dict[str, Any]) -> bool:
    for name, value in said.items():
        mine = found[name.replace("-", "_")]
        mine = list(mine) if isinstance(mine, tuple) else mine
        value = [int(n) for n in value] if isinstance(value, list) and value else value
        number: Any = value if isinstance(value, int | float) else math.nan
        alike = value == mine or str(value) == str(mine) or float(number) == mine
        if not alike and value not in ([], False):
            return False
    return True


# Other people's nets ------------------------------------------------------------------------------


def _read_onnx(folder: Path) -> Any:
    from minicnn.onnx import load

    net = load(folder / "net.onnx")
    x = np.random.default_rng(9).standard_normal((2, 1, 7, 6)).astype(np.float32)
    return _numbers(net.state_dict()), net(x).numpy()


def _onnx_as_json(content: bytes) -> bytes:
    import onnx
    from google.protobuf.json_format import MessageToDict

    return json.dumps(MessageToDict(onnx.load_model_from_string(content))).encode()


def _json_as_onnx(content: bytes) -> bytes:
    """The way back; what is no model any more stays as it is."""
    import onnx
    from google.protobuf.json_format import Parse

    try:
        return bytes(Parse(content, onnx.ModelProto()).SerializeToString())
    except Exception:
        return content


def _is_onnx(content: bytes, found: Any) -> bool:
    """What ONNX's own evaluator computes."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    x = np.random.default_rng(9).standard_normal((2, 1, 7, 6)).astype(np.float32)
    model = onnx.load_model_from_string(content)
    with np.errstate(all="ignore"):
        (wanted,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})
    return bool(np.allclose(found[1], wanted, 1e-3, 1e-4, equal_nan=True))


def _read_torch(folder: Path) -> Any:
    from minicnn.interop import load_state_dict

    return _numbers(load_state_dict(folder / "net.pt"))


def _is_torch(content: bytes, found: Any) -> bool:
    import torch

    state = torch.load(io.BytesIO(content), weights_only=True)
    return same(found, {name: tensor.numpy() for name, tensor in state.items()})


# Chapters -----------------------------------------------------------------------------------------


def _read_cells(file: str) -> Callable[[Path], Any]:
    return lambda folder: [(cell.kind, cell.source) for cell in read_chapter(folder / file).cells]


def _is_in_the_text(content: bytes, found: Any) -> bool:
    """Every line of code is one of the file's."""
    lines = {line.rstrip() for line in content.decode("utf-8-sig").splitlines()}
    code = [line for kind, source in found if kind == "code" for line in source.splitlines()]
    return all(line.rstrip() in lines for line in code)


def _is_notebook(content: bytes, found: Any) -> bool:
    cells = json.loads(content)["cells"]
    texts = ["".join(cell["source"]).replace("\r\n", "\n") for cell in cells]
    return [source for _, source in found] == texts


TRAINING_IMAGES = "train-images-idx3-ubyte"
DATASET = (data.DatasetError,)
READERS: dict[str, Reader] = {
    "IDX": Reader(
        TRAINING_IMAGES,
        lambda f: makers.idx_files(f, ""),
        lambda f: data.read_idx(f / TRAINING_IMAGES),
        (data.IdxError,),
        _is_idx,
    ),
    "IDX, gzipped": Reader(
        f"{TRAINING_IMAGES}.gz",
        lambda f: makers.idx_files(f, ".gz"),
        lambda f: data.read_idx(f / f"{TRAINING_IMAGES}.gz"),
        (data.IdxError,),
        _is_idx,
        gzip.decompress,
        lambda content: gzip.compress(content, mtime=0),
    ),
    "four IDX files": Reader(
        TRAINING_IMAGES,
        lambda f: makers.idx_files(f, ""),
        lambda f: _arrays_of(data.from_idx(f)),
        DATASET,
        _is_part,
    ),
    "npz": Reader(
        "x.npz",
        lambda f: makers.npz(f / "x.npz"),
        lambda f: _arrays_of(data.from_npz(f / "x.npz")),
        DATASET,
        _is_npz,
        _unzipped,
        _zipped,
    ),
    "CSV": Reader(
        "x.csv",
        lambda f: makers.csv(f / "x.csv"),
        lambda f: _arrays_of(data.from_csv(f / "x.csv", makers.SIDE)),
        DATASET,
        _is_table,
    ),
    **_picture("png", "L"),
    **_picture("png", "RGBA"),
    **_picture("png", "P"),
    **_picture("jpg", "RGB"),
    **_picture("gif", "P"),
    **_picture("bmp", "RGB"),
    **_picture("webp", "RGB"),
    **_picture("tiff", "RGB"),
    **_picture("tiff", "I;16"),
    **_picture("ppm", "RGB"),
    "safetensors": Reader(
        "model.safetensors",
        makers.run,
        lambda f: _numbers(checkpoint.load(f / "model.safetensors")),
        (ValueError,),
        _is_safetensors,
        _header_first,
        _with_length,
    ),
    "state of a training": Reader(
        "state.safetensors",
        lambda f: makers.state(f / "state.safetensors"),
        _read_state,
        (ValueError,),
        never,
    ),
    "state of a training, sealed again": Reader(
        "state.safetensors",
        lambda f: makers.state(f / "state.safetensors"),
        _read_state,
        (ValueError,),
        _is_state,
        _header_first,
        lambda content: _sealed(_with_length(content)),
    ),
    "kept states": Reader(
        "states/000002.safetensors",
        makers.kept,
        _read_kept,
        (ValueError,),
        _is_kept,
        _header_first,
        _with_length,
    ),
    "config.json of a run": Reader(
        "config.json", makers.run, _read_run, (ValueError,), _is_run
    ),
    "weights of a run": Reader(
        "model.safetensors", makers.run, _read_run, (ValueError,), _is_net,
        _header_first, _with_length,
    ),
    "metrics.jsonl of a run": Reader(
        "metrics.jsonl", makers.run, _read_measured, (ValueError,), _is_measured(0)
    ),
    "curve.jsonl of a run": Reader(
        "curve.jsonl", makers.run, _read_measured, (ValueError,), _is_measured(1)
    ),
    "sweep.json": Reader("sweep.json", _make_sweep, _read_sweep, (ValueError,), _is_sweep),
    "--config, TOML": Reader(
        "x.toml", lambda f: makers.toml(f / "x.toml"), _read_options("x.toml"), (), _is_toml,
        exits=True,
    ),
    "--config, JSON": Reader(
        "config.json", makers.run, _read_options("config.json"), (), _is_config, exits=True
    ),
    "ONNX": Reader(
        "net.onnx", lambda f: makers.onnx_net(f / "net.onnx"), _read_onnx, (ValueError,), _is_onnx,
        _onnx_as_json, _json_as_onnx,
    ),
    "PyTorch": Reader(
        "net.pt", lambda f: makers.torch_state(f / "net.pt"), _read_torch, (ValueError,),
        _is_torch, _unzipped, _zipped,
    ),
    "chapter in Markdown": Reader(
        "x.md", lambda f: makers.markdown(f / "x.md"), _read_cells("x.md"), (ValueError,),
        _is_in_the_text,
    ),
    "chapter as a notebook": Reader(
        "x.ipynb", lambda f: makers.notebook(f / "x.ipynb"), _read_cells("x.ipynb"),
        (ValueError,), _is_notebook,
    ),
}  # fmt: skip
