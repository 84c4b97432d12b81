"""IDX, the file format of MNIST: a short header, then the numbers, everything big-endian.

    bytes 0, 1    0 0
    byte  2       the type of the numbers: 8 = uint8, and a few others
    byte  3       how many dimensions, d
    4 d bytes     the length of each dimension, uint32
    the rest      the numbers, in row order

Image files therefore start with 00 00 08 03, label files with 00 00 08 01. Either may be gzipped.
A file may come from anywhere, so its header is not trusted: ``read_idx`` stops one byte after what
the header declares, and allocates only what the file really holds.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database", http://yann.lecun.com/exdb/mnist/
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from minicnn.checks import check_is
from minicnn.data.errors import IdxError
from minicnn.files import expand
from minicnn.formats import kind_of, shortened

_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MAX_DIMENSIONS = 32
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


class _Header(NamedTuple):
    raw: bytes
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def file_size(self) -> int:
        return len(self.raw) + math.prod(self.shape) * self.dtype.itemsize


def read_idx(path: str | Path, sha256: str | None = None) -> NDArray[Any]:
    """Read an IDX file, plain or gzipped (its first bytes decide, not its name).

    Args:
        path: the file.
        sha256: hexadecimal SHA-256 that the decompressed file must have; None: not checked.

    Returns:
        A writable array of the shape and type in the header, in native byte order:
        images are uint8 (N, H, W), labels uint8 (N,).

    Raises:
        IdxError: the file is damaged, or its SHA-256 is another. The message names the file, and
            both SHA-256.
        OSError: the file cannot be opened (FileNotFoundError, PermissionError, ...).
    """
    if sha256 is not None:
        check_is("sha256", sha256, str, "a text of 64 hexadecimal digits")
    array, found = read_with_sha256(path)
    if sha256 not in (None, found):
        raise IdxError(not_expected(path, found, sha256))
    return array


def not_expected(path: str | Path, found: str, wanted: str) -> str:
    """The message for a file of another SHA-256."""
    return (
        f"{path}: not the expected file: SHA-256 of its content is {found}, not {shortened(wanted)}"
    )


def read_with_sha256(path: str | Path) -> tuple[NDArray[Any], str]:
    """The array, as ``read_idx`` gives it, and the SHA-256 of the decompressed file."""
    path = expand(path)
    try:
        header, content = _read(path)
    except IdxError as error:
        raise IdxError(f"{path}: {error}") from error.__cause__
    array = np.frombuffer(content, header.dtype, offset=len(header.raw)).reshape(header.shape)
    native = array.astype(header.dtype.newbyteorder("="), copy=False)
    return native, hashlib.sha256(content).hexdigest()


def write_idx(array: NDArray[Any], path: str | Path) -> None:
    """Write an array of one of the IDX types as an IDX file, gzipped if ``path`` ends in .gz.

    The same array always gives the same bytes: the gzip header carries no name and no time.

    Raises:
        ValueError: the array's type, or its shape, cannot be written as IDX.
    """
    codes = {dtype.newbyteorder("="): code for code, dtype in _DTYPES.items()}
    if array.dtype not in codes:
        raise ValueError(f"array is {array.dtype}; wanted one of {', '.join(map(str, codes))}")
    if not 1 <= array.ndim <= _MAX_DIMENSIONS or 0 in array.shape:
        raise ValueError(f"array has shape {array.shape}; wanted 1 to 32 dimensions, none of 0")
    code = codes[array.dtype]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = header + array.astype(_DTYPES[code]).tobytes()
    path = Path(path)
    path.write_bytes(gzip.compress(content, 9, mtime=0) if path.suffix == ".gz" else content)


def _read(path: Path) -> tuple[_Header, bytearray]:
    """The header, and the whole decompressed file, header included."""
    with path.open("rb") as file:
        gzipped = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not gzipped:
            return _read_stream(file)
        try:
            with gzip.open(file) as stream:
                return _read_stream(cast(BinaryIO, stream))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise IdxError(f"damaged gzip data: {error}") from error


def _read_stream(stream: BinaryIO) -> tuple[_Header, bytearray]:
    """Read a header and exactly the data it declares, in chunks: memory grows with real data."""
    header = _read_header(stream)
    wanted = header.file_size
    content = bytearray(header.raw)
    while chunk := stream.read(min(_CHUNK, wanted + 1 - len(content))):
        content += chunk
    if len(content) < wanted:
        raise IdxError(f"too short: shape {header.shape} takes {wanted} bytes, got {len(content)}")
    if len(content) > wanted:
        raise IdxError(f"too long: bytes follow the {wanted} that shape {header.shape} takes")
    return header, content


def _read_header(stream: BinaryIO) -> _Header:
    magic = stream.read(4)
    if len(magic) < 4:
        raise IdxError(f"too short for an IDX header: {len(magic)} bytes")
    zeros, code, ndim = struct.unpack(">HBB", magic)
    if zeros:
        kind = kind_of(magic + stream.read(_CHUNK))
        known = f" but {kind}" if kind else ""
        raise IdxError(f"not an IDX file{known}: it starts with 0x{magic.hex()}, not with 0x0000")
    if code not in _DTYPES:
        raise IdxError(f"unknown IDX type code 0x{code:02x}")
    if not 1 <= ndim <= _MAX_DIMENSIONS:
        raise IdxError(f"it has {ndim} dimensions, wanted 1 to {_MAX_DIMENSIONS}")
    lengths = stream.read(4 * ndim)
    if len(lengths) < 4 * ndim:
        raise IdxError(
            f"too short for an IDX header of {ndim} dimensions: {4 + len(lengths)} bytes"
        )
    shape = struct.unpack(f">{ndim}I", lengths)
    if 0 in shape:
        raise IdxError(f"a dimension is 0 in shape {shape}")
    return _Header(magic + lengths, _DTYPES[code], shape)
