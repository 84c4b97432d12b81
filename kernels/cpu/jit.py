"""How kernels are compiled (Numba), and kept on disk.

Compiling takes a second or two for each kernel, so the result is kept. Numba can do that too
(``cache=True``), but looks only at the file in which a function stands: when another file changes,
whose functions are compiled into this one, it goes on using the old code. Here a folder holds what
was compiled from one state of all kernel sources, for one processor, by one version of Numba with
one setting of its switches. The folder's name is a digest of all these: whatever changes, the name
changes too, and what lies in other folders is never read.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import os
import pickle
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import llvmlite
import numba
import numpy as np
from numba.core import config, event
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.extending import intrinsic as numbas_intrinsic
from numba.misc.appdirs import AppDirs

from ..interrupts import answer_now, held
from .claims import PATIENCE, claimed

# Chosen flag by flag: fused multiply-adds and reordered sums are welcome, but NaN and infinity keep
# their meaning (``nnan`` and ``ninf`` would turn relu(NaN) into 0).
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

FOLDERS_KEPT = 8  # for other versions, processors, switches; the one unused for longest is deleted
SOURCES = Path(__file__).parent.parent  # kernels/
OURS = "minicnn-kernels"  # the folder that holds the folders, and nothing of anybody else's
AHEAD = 3600  # seconds by which another machine's clock may be, whose disk holds the folders
NOT_KEPT = "compiled kernels are not kept, but compiled again in every process"
SELDOM = 50_000  # new objects until Python looks for unreachable ones, while kernels are compiled
NOT_IN_CODE = ("THREAD", "CACHE", "COLOR", "HIGHLIGHT")  # switches that do not change the code


switches: Any = config  # NUMBA_DISABLE_JIT and so on, which Numba reads from the environment
Function = TypeVar("Function", bound=Callable[..., Any])
Arguments = ParamSpec("Arguments")


def jit(function: Function, **more: Any) -> Function:
    """Numba's ``njit``, kept on disk. A Ctrl-C is answered between two steps of compiling.

    To a type checker the kernel is the function that it was made of.
    """
    options: dict[str, Any] = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, **more}
    kernel: Any = numba.njit(**options)(function)
    if not switches.DISABLE_JIT:
        kernel._cache = Kept(function)
        kernel.compile = _by_one_process(kernel.compile, kernel._cache)
        # Numba calls this for arguments of a new type; inside it LLVM would lose an interrupt
        kernel._compile_for_args = _counted(held()(kernel._compile_for_args))
    return kernel


def intrinsic(
    prefer_literal: bool = False,
) -> Callable[[Callable[Concatenate[Any, Arguments], Any]], Callable[Arguments, Any]]:
    """Numba's ``intrinsic``, to a type checker without the argument ``typing``: calls have none."""

    def made(function: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
        inside: Any = numbas_intrinsic(prefer_literal=prefer_literal)(function)
        return inside

    return made


def _by_one_process(compile: Callable[..., Any], kept: Kept) -> Callable[[Any], Any]:
    def compiled_or_loaded(types: Any) -> Any:
        # Numba's lock first: a thread that has it may need this kernel for another
        with global_compiler_lock, kept.claimed(types):
            return compile(types)

    return compiled_or_loaded


seconds_compiling = 0.0  # that the main thread has spent compiling, or loading, so far


def _counted(compile: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        global seconds_compiling
        began = time.perf_counter()
        try:
            with seldom_collecting():
                return compile(*arguments)
        finally:
            if threading.current_thread() is threading.main_thread():
                seconds_compiling += time.perf_counter() - began

    return counted


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Inside, Python looks for circles of unreachable objects after 50,000 new ones, not 700.

    Compiling makes many objects and few circles: looking took a tenth of its time.
    """
    before, often = gc.get_threshold(), gc.get_threshold()[0]
    if often == 0 or often >= SELDOM:  # never, or another thread is inside already
        yield
        return
    gc.set_threshold(SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


passes = 0  # of Numba's compiler so far: a number that grows says that it is at work


class BetweenPasses(event.Listener):
    """Told by Numba of each pass of its compiler."""

    def on_start(self, event: event.Event) -> None:
        """A pass is about to begin."""
        global passes
        passes += 1
        answer_now()

    def on_end(self, event: event.Event) -> None:
        """It has ended."""


event.register("numba:run_pass", BetweenPasses())


class Kept(NullCache):
    """The compiled forms of one function on disk; Numba's dispatcher calls these methods.

    Each form has a file of its own, named by its types. Numba's files have numbers, which an index
    leads to; two processes that write the index at the same time can mix them up
    (``findings/numba-cache-two-processes.sh``).
    """

    def __init__(self, function: Callable[..., Any]):
        line = function.__code__.co_firstlineno
        self.name = f"{function.__module__}.{function.__name__}-{line}"

    @property
    def cache_path(self) -> str | None:
        """The folder, if any."""
        return None if folder() is None else str(folder())

    def holds(self, sig: Any) -> bool:
        """Whether there is a file for arguments of these types."""
        path = self._path(sig)
        return path is not None and path.exists()

    def claimed(self, sig: Any, patience: float = PATIENCE) -> AbstractContextManager[bool]:
        """See ``claims``; of what is kept already nobody has to claim anything."""
        path = self._path(sig)
        if path is None or path.exists():
            return nullcontext(True)
        return claimed(path, patience)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The function compiled for arguments of these types, or None."""
        path = self._path(sig)
        if path is None or not path.exists():
            return None
        target_context.refresh()
        try:
            stored = path.read_bytes()
            content = stored[hashlib.sha256().digest_size :]
            if hashlib.sha256(content).digest() + content != stored:
                raise ValueError("its checksum does not fit")
            return CompileResult._rebuild(target_context, *pickle.loads(content))
        except Exception as error:
            warn(f"{path} is damaged ({error or type(error).__name__}): compiled again")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled form, unless the sources have changed since this process read them."""
        path = self._path(sig)
        if path is None:
            return
        content = dumps(data._reduce())
        try:
            if digest_of_sources() != _sources_read:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, hashlib.sha256(content).digest() + content)
        except OSError as error:
            warn(f"{NOT_KEPT}: {path.parent}: {error.strerror}")

    def _path(self, sig: Any) -> Path | None:
        types = hashlib.sha256(str(sig).encode()).hexdigest()[:16]
        return None if (where := folder()) is None else where / f"{self.name}-{types}.nbc"


@functools.cache
def folder() -> Path | None:
    """Where this process keeps its kernels; None, and a warning, if it can write nowhere.

    In NUMBA_CACHE_DIR where that is set, otherwise next to the sources, otherwise in the user's
    cache. A folder that cannot be written is still read, if it holds kernels.
    """
    parents = list(_parents())
    for parent in parents:
        place = parent / OURS / _digest_of_everything()[:20]
        if _can_be_written(place):
            _forget_the_oldest(place)
            return place
        if any(place.glob("*.nbc")):
            return place
    warn(f"{NOT_KEPT}: {' and '.join(map(str, parents))} cannot be written to")
    return None


def _can_be_written(place: Path) -> bool:
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)  # used now
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return False
    return True


def _parents() -> Iterator[Path]:
    if switches.CACHE_DIR:
        yield Path(switches.CACHE_DIR)
        return
    yield SOURCES / "__pycache__"
    users = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    if users.is_absolute():  # where there is no home, it is "~/.cache"
        yield users


def _forget_the_oldest(ours: Path) -> None:
    others = sorted((path for path in ours.parent.iterdir() if path != ours), key=_last_use)
    for old in others[: 1 - FOLDERS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """When it was; 0, as of the oldest, where that is hours ahead: the clock has been set back."""
    with suppress(OSError):  # another process has just deleted it
        then = folder.stat().st_mtime
        return 0.0 if then > time.time() + AHEAD else then
    return 0.0


def digest_of_sources() -> str:
    """Of the kernels' source files, by name and content, as they are on disk now."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(SOURCES):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py") and not name.startswith("."):
                path = Path(folder, name)
                place, content = path.relative_to(SOURCES).as_posix(), path.read_bytes()
                digest.update(f"{place} {len(content)} ".encode() + content)
    return digest.hexdigest()


_sources_read = digest_of_sources()


def _digest_of_everything() -> str:
    """Of all that the compiled code depends on."""
    switches = {
        name: str(value)
        for name, value in sorted(vars(config).items())
        if name.isupper() and not any(word in name for word in NOT_IN_CODE)
    }
    processor = cpu_target.target_context.codegen().magic_tuple()
    versions = (config.PYVERSION, numba.__version__, llvmlite.__version__, np.__version__)
    everything = repr((_sources_read, versions, processor, switches))
    return hashlib.sha256(everything.encode()).hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write under another name, then rename: nobody ever reads half a file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@functools.cache
def _warned() -> list[str]:
    return []


def warn(problem: str) -> None:
    """Say what is wrong with the folder of compiled kernels, once a process."""
    if not _warned():
        _warned().append(problem)
        cure = "NUMBA_CACHE_DIR=<folder> in the environment chooses another place"
        warnings.warn(f"minicnn: {problem}; {cure}", stacklevel=2)


def is_there(kernel: Any, types: tuple[Any, ...]) -> bool:
    """Whether this form of a kernel has been compiled already, here or on disk."""
    return types in kernel.overloads or kernel._cache.holds(types)


def is_claimed(kernel: Any, types: tuple[Any, ...]) -> bool:
    """Whether another process is compiling this form of a kernel."""
    with kernel._cache.claimed(types, patience=0) as is_ours:
        return not is_ours


def can_keep() -> bool:
    """Whether there is a folder for compiled kernels that can be written to."""
    place = folder()
    return place is not None and _can_be_written(place)


def compiled(kernel: Any, types: tuple[Any, ...]) -> Any:
    """The form of a kernel for arguments of these types: from the disk, or compiled now."""
    _counted(held()(kernel.compile))(types)
    return kernel.overloads[types]
