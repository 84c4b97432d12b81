"""How a mutant is tried: in a child process, which runs tests until one fails.

There are two ways. The quick one has pytest collect the tests once; each child then gives the
functions of the mutated file their mutated code and runs those tests. The other one is for what
runs when a file is imported: the file is mutated on the disk, in a copy of the checkout, and the
child imports it and collects the tests.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType

import pytest

import tests

from .operators import Mutant
from .rooms import ROOT

SECONDS = 10  # of the processor's time for one test; who needs more is caught in a loop
WAIT = 900  # seconds for one mutant, by the clock: it may wait for something that never comes
MEMORY = 6 << 30  # bytes of address space above what the process has
TIME, DIED, ERROR = "(out of time)", "(died)", "(error)"
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
PLAIN = (  # how pytest runs here, whatever pyproject.toml says
    *("-o", "addopts=", "-p", "no:xdist", "-p", "no:cacheprovider", "-qq", "--capture=sys"),
    "--tb=native",  # quickly written; nobody reads it
    *("-m", "not gpu and not long", "--hypothesis-seed=0"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # Hypothesis was imported before
)


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` gives in a child process; ``TIME`` or ``DIED`` where it does not come back.

    Raises:
        RuntimeError: ``work`` raised, which is no test's failure; its traceback is the message.
    """
    reading, writing = os.pipe()
    folder = tempfile.mkdtemp()
    child = os.fork()
    if child == 0:
        try:
            alone(folder)
            os.write(writing, (work() or " ").encode())
        except MemoryError:  # of a mutant that wants too much: it has died
            pass
        except Exception:
            os.write(writing, f"{ERROR} {traceback.format_exc()[-3000:]}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        came = select.select([reading], [], [], WAIT)[0]
        said = os.read(reading, 1 << 16).decode() if came else TIME
    finally:
        os.close(reading)
        os.killpg(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        shutil.rmtree(folder, ignore_errors=True)
    if said.startswith(ERROR):
        raise RuntimeError(said)
    if not said and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        return TIME
    return said.strip() if said else DIED


def apart(work: Callable[[], int]) -> None:
    """Run pytest in a child process that imports what this one must not have.

    Args:
        work: gives pytest's exit status.

    Raises:
        RuntimeError: it did not come to the end of its tests.
    """
    child = os.fork()
    if child == 0:
        status = int(pytest.ExitCode.INTERNAL_ERROR)
        try:
            status = int(work())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in ENDED:
        raise RuntimeError(f"pytest ended with status {status}: what it printed says why")


def alone(folder: str) -> None:
    """Make this process one that cannot disturb: its own group, limits, files, and no output."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY, has + MEMORY))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
    some_seconds_more()


def some_seconds_more() -> None:
    """From now on the process may use ``SECONDS`` of the processor's time; then it is ended."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


class FirstFailure:
    """A plugin of pytest: the first test that fails; the others are not run."""

    test = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        some_seconds_more()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


class Chosen(FirstFailure):
    """The same, for a session of its own: of the tests collected those in a list, in its order."""

    def __init__(self, names: list[str]):
        self.names = names

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[name] for name in named(self.names, found)]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.test:
            self.test = report.nodeid


def named(names: list[str], tests: Mapping[str, object]) -> list[str]:
    """The tests of these names; a file has many, and so has a test with parameters."""
    found = []
    for name in names:
        parts = (f"{name}[", f"{name}::", f"{name}/")
        found += [name] if name in tests else [test for test in tests if test.startswith(parts)]
    return found


def imported(root: Path, mutant: Mutant, names: list[str], options: Sequence[str] = ()) -> str:
    """The first of these tests that fails with the mutated file; empty if none does."""

    def unmutated(*names: str) -> str:
        return in_child(lambda: run(Chosen(list(names)), list(names), *options))

    def tried(names: list[str]) -> str:
        with put_in(root, mutant):
            return unmutated(*names)

    return first_to_notice(tried, unmutated, names)


def first_to_notice(
    tried: Callable[[list[str]], str], unmutated: Callable[..., str], names: list[str]
) -> str:
    """The first test that fails with a mutant, and passes without it.

    Where no test is named (the child has died, is out of time...) all have to pass without it.

    Args:
        tried: the first of some tests that fails with the mutant; empty if none does.
        unmutated: the same with nothing mutated.
        names: the tests.

    Raises:
        RuntimeError: they do not pass, and which of them is not known.
    """
    while names:
        failed = tried(names)
        suspects = [failed] if "::" in failed else names
        if not failed or not (otherwise := unmutated(*suspects)):
            return failed
        unfit = failed if failed in names else otherwise
        if unfit not in names:
            raise RuntimeError(f"with nothing mutated: {otherwise}, of {' '.join(suspects)}")
        names = [name for name in names if name != unfit]
    return ""


def run(plugin: Chosen, names: list[str], *options: str) -> str:
    """Collect the files of these tests and run them until one fails."""
    paths = sorted({name.partition("::")[0] for name in names})
    status = pytest.main([*PLAIN, "-x", *options, *paths], plugins=[plugin])
    return plugin.test or ("" if status == 0 else f"(pytest ended with status {int(status)})")


@contextmanager
def put_in(root: Path, mutant: Mutant) -> Iterator[None]:
    """Inside, the file is the mutated one."""
    path = root / mutant.file
    text, times = path.read_bytes(), path.stat()
    path.write_bytes(mutant.of(text))
    # Python looks at size and second to tell whether what it compiled last is old
    os.utime(path, (0, next(seconds)))
    try:
        yield
    finally:
        path.write_bytes(text)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


seconds = itertools.count(1)  # one for each mutant, of 1970


@contextmanager
def checkout() -> Iterator[Path]:
    """Inside, this process works in a copy of the checkout, which is deleted afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / ROOT.name
        left_out = shutil.ignore_patterns(".git", ".mutants", ".venv", ".*_cache", "runs", "shared")
        shutil.copytree(ROOT, root, symlinks=True, ignore=left_out)
        before, path, outside = Path.cwd(), list(sys.path), os.environ.get("PYTHONPATH")
        os.chdir(root)
        tests.__path__ = [str(root / "tests")]
        sys.path[:] = [str(root), *(p for p in path if Path(p).resolve() != ROOT)]
        os.environ["PYTHONPATH"] = str(root)
        try:
            yield root
        finally:
            os.chdir(before)
            tests.__path__ = [str(ROOT / "tests")]
            sys.path[:] = path
            os.environ.pop("PYTHONPATH")
            os.environ |= {} if outside is None else {"PYTHONPATH": outside}


# The quick way ------------------------------------------------------------------------------------


class Quick:
    """A plugin of pytest that tries mutants on the tests collected, and runs nothing else.

    Args:
        root: the checkout.
        wanted: the mutants, each with its tests.
        tell: is called with each mutant and the test that noticed it; empty for none.
    """

    def __init__(
        self,
        root: Path,
        wanted: Iterable[tuple[Mutant, list[str]]],
        tell: Callable[[Mutant, str], None],
    ):
        self.root, self.wanted, self.tell = root, wanted, tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        gc.collect()
        self.functions = all_functions()
        gc.freeze()  # children share these pages, which a look at every object would copy
        for mutant, names in self.wanted:
            tried = functools.partial(self.tried, mutant)
            self.tell(mutant, first_to_notice(tried, self.unmutated, named(names, self.items)))
        return True

    def tried(self, mutant: Mutant, names: list[str]) -> str:
        """The first of the tests that fails with a mutant."""
        path, items = self.root / mutant.file, [self.items[name] for name in names]
        with put_in(self.root, mutant):  # for who imports the file later
            return in_child(lambda: exchanged(path, self.functions.get(path, []), items))

    @functools.cache  # noqa: B019 (one object, as long as the process)
    def unmutated(self, *names: str) -> str:
        """The first of the tests that fails with nothing mutated."""
        return in_child(lambda: first_failure([self.items[name] for name in names]))


def exchanged(path: Path, functions: list[FunctionType], items: list[pytest.Item]) -> str:
    """The first test that fails with the functions of the file as it is now; empty if none does."""
    exchange(functions, path.read_bytes())
    return first_failure(items)


def first_failure(items: list[pytest.Item]) -> str:
    """Run collected tests until one fails: its name, empty if none does."""
    if not items:
        return ""
    first = FirstFailure()
    config = items[0].config
    config.pluginmanager.register(first)
    for item, following in zip(items, [*items[1:], None], strict=True):
        config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if first.test:
            break
    return first.test


def exchange(functions: list[FunctionType], text: bytes) -> None:
    """Give every function of a file the code that the text has for it."""
    codes: dict[tuple[str, int], list[CodeType]] = defaultdict(list)
    for code in codes_of(text):
        codes[code.co_qualname, code.co_firstlineno].append(code)
    for function in functions:
        old = function.__code__
        new, *others = codes[old.co_qualname, old.co_firstlineno] or [old]
        if not others and new.co_freevars == old.co_freevars:  # not one of two lambdas on a line
            function.__code__ = new.replace(co_filename=old.co_filename)


def can_be_exchanged(mutant: Mutant) -> bool:
    """Whether the quick way will do: each function keeps the same variables of those around it."""
    if not mutant.inside:
        return False
    text = (ROOT / mutant.file).read_bytes()
    now, then = (
        sorted((code.co_qualname, code.co_firstlineno, code.co_freevars) for code in codes_of(t))
        for t in (text, mutant.of(text))
    )
    return now == then


def codes_of(text: bytes) -> Iterable[CodeType]:
    todo = [compile(text, "mutated", "exec", dont_inherit=True)]
    while todo:
        code = todo.pop()
        yield code
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


@functools.cache
def where(name: str) -> Path:
    return Path(name).resolve()


def all_functions() -> dict[Path, list[FunctionType]]:
    """All functions that exist, wherever they are kept, by the file that they come from."""
    found: dict[Path, list[FunctionType]] = defaultdict(list)
    for function in gc.get_objects():
        if type(function) is FunctionType:
            found[where(function.__code__.co_filename)].append(function)
    return dict(found)
