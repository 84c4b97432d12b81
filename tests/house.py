"""Whether the house is in order: ``python -m tests.house [folder]`` prints a table.

Each rule is a function that reads a checkout and returns its figure, and what breaks the rule. The
command ends with status 1 where one is broken. ``docs/architecture.md`` says what they are for.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
OURS = ("minicnn", "kernels", "benchmarks", "docs")
LONGEST, LONGEST_TENSOR, LONGEST_TEST = 400, 500, 600  # lines
MOST_PARAMETERS, FEWEST_COMMENTS = 8, 8
Import = ast.Import | ast.ImportFrom

# Who may import whom: a module from its own line and from those below.
STOREYS = """
    tests benchmarks docs
    __main__ sweep learn
    compare explain predict visualize d2l selfcheck rungs winograd sklearn export
    interop onnx
    exchange
    train training command minicnn
    compiler data models checkpoint gradient_check plots
    optim nn
    functions random
    tensor
    arithmetic shape inplace names numpy_calls
    tape
    ops dtypes cuda
    device
    distributed
    slips
    json_files
    files formats language terminal threads checks
    kernels
"""
# Other people's packages: where each may be imported, and which of them inside functions only.
PLACES = {
    "numba": ("minicnn.kernels",),
    "llvmlite": ("minicnn.kernels",),
    "cupy": ("minicnn.kernels.gpu", "minicnn.device", "minicnn.selfcheck"),
    "sklearn": ("minicnn.sklearn",),
    "mpi4py": ("minicnn.distributed",),
    "dask": ("minicnn.sweep",),
    "distributed": ("minicnn.sweep",),
}
LATE = (
    "nbformat",
    "matplotlib",
    "pooch",
    "PIL",
    "IPython",
    "requests",
    "onnx",
    "torch",
    "tensorboardX",
    "mpi4py",
    "dask",
    "distributed",
)
IS_LATE = (
    "nbformat",
    "minicnn.d2l.book.shell",
)  # modules that are themselves imported inside functions only
LONG_SIGNATURES = {  # with more than 8 parameters, and why
    "Conv2D.__init__": "Keras'",
    "Conv2d.__init__": "PyTorch's",
    "LazyConv2d.__init__": "PyTorch's",
    "SGD.__init__": "PyTorch's",
    "Adam.__init__": "PyTorch's",
    "AdamW.__init__": "PyTorch's",
    "Animator.__init__": "the book's",
    "train_ch3": "the book's",
    "train_ch5": "the book's",
    "plot": "the book's",
    "fit": "public",
    "Training.fit": "Keras'",
    "lenet": "public",
    "CNNClassifier.__init__": "scikit-learn's: every setting is an argument",
}
TABLES = ("Sequential", "parametrize", "launch", "_launch", "over_cells", "emit")  # calls as tables
RETIRED = {  # words that need a second reading, and what to write
    r"(?<!batch's )gradients? by (?!hand\b|finite\b|layer\b|name\b)": "gradient with respect to",
    r"\banew\b": "again, from scratch",
    r"\brightly\b": "correctly",
    r"\bso many\b": "N",
    r"\bhits\b": "correct predictions",
    r"\bbeside\b": "next to",
    r"\bbehind (it|them|each|every|conv|the (last|first|net|layer|flattening|point))\b": "after",
    r"\b(is|are|was|were) met\b": "is seen, occurs",
}
BEFORE = {  # the same figures of commit 8eabaf1, before the house was cut by operations
    "source files of over 400 lines": "14; tensor.py 1051",
    "test files of over 600 lines": "11; test_compile.py 1301",
    "circles of imports": "1",
    "imports of a storey above": "0",
    "packages imported elsewhere": "0",
    "loaded by import minicnn": "4",
    "functions of over 8 parameters": "4",
    "fmt: skip at no table": "75 of 153",
    "retired words": "194",
    "files named by pages that are gone": "0",
    "comments per 100 lines: compiler": "2.7; docstrings 20",
    "comments per 100 lines: kernels/tiles": "3.4; docstrings 22",
    "comments per 100 lines: kernels": "3.8; docstrings 21",
    "comments per 100 lines: minicnn": "2.4; docstrings 25",
    "comments per 100 lines: tests": "2.2; docstrings 3",
}


class Finding(NamedTuple):
    """A rule's figure, and what breaks it."""

    figure: str
    broken: list[str]


def files(root: Path, *folders: str, kinds: str = ".py") -> list[Path]:
    """The files of these kinds, without what Python and tools leave behind."""
    found = [path for folder in folders for path in sorted((root / folder).rglob("*.*"))]
    return [path for path in found if path.suffix in kinds.split()]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def children(node: ast.AST) -> Iterator[ast.AST]:
    """What ``node`` holds but its expressions, in which there is no statement."""
    return (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All that is below ``node`` but expressions."""
    for child in children(node):
        yield child
        yield from statements(child)


# Sizes --------------------------------------------------------------------------------------------


def long_files(root: Path, paths: list[Path], limit: int) -> Finding:
    lines = Counter({path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths})
    longest, most = lines.most_common(1)[0] if lines else (root, 0)
    limits = {path: LONGEST_TENSOR if path.name == "tensor.py" else limit for path in paths}
    over = {path: count for path, count in lines.most_common() if count > limits[path]}
    broken = [f"{path.relative_to(root)} has {count} lines" for path, count in over.items()]
    return Finding(f"{len(over)}; {longest.name} {most}", broken)


def source_files(root: Path) -> Finding:
    """Source files of at most 400 lines, tensor.py of 500."""
    paths = files(root, *OURS, kinds=".py .cu .cuh .js .css .html")
    return long_files(root, paths, LONGEST)


def test_files(root: Path) -> Finding:
    """Test files of at most 600 lines."""
    return long_files(root, files(root, "tests", kinds=".py .h"), LONGEST_TEST)


# Imports ------------------------------------------------------------------------------------------


def module_of(root: Path, path: Path) -> str:
    """``minicnn.ops.conv``; the top-level folder ``kernels`` is ``minicnn.kernels``."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(("minicnn", *parts) if parts[0] == "kernels" else parts)


def imports(node: ast.AST, inside: bool = False) -> Iterator[tuple[Import, bool]]:
    """The imports below ``node``, and whether each is inside a function; none for types only."""
    for child in children(node):
        if isinstance(child, Import):
            yield child, inside
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from imports(child, inside or isinstance(child, ast.FunctionDef))


def targets(root: Path, path: Path, node: Import) -> list[str]:
    """What an import names, as ``package.module.name``."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    package = module_of(root, path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    start = package[: len(package) + 1 - node.level] if node.level else []
    return [".".join([*start, *filter(None, [node.module]), name.name]) for name in node.names]


@functools.cache
def graph(root: Path) -> dict[str, set[str]]:
    """Each module of ours, and the modules of ours that it imports."""
    paths = {module_of(root, path): path for path in files(root, *OURS, "tests")}
    arrows: dict[str, set[str]] = {module: set() for module in paths}
    for module, path in paths.items():
        for node, _ in imports(tree_of(path)):
            for name in targets(root, path, node):
                owner = name if name in paths else name.rpartition(".")[0]
                arrows[module] |= {owner} & paths.keys()
    return arrows


def circles(root: Path) -> Finding:
    """No circle of imports, not even inside functions."""
    arrows = {module: set(others) for module, others in graph(root).items()}
    found: list[str] = []
    while True:
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]  # each imports the next one
            arrows[circle[0]].remove(circle[1])
            found.append(" -> ".join(circle))
        else:
            return Finding(str(len(found)), found)


def room(module: str) -> str:
    """``ops`` of ``minicnn.ops.conv``."""
    return (module.removeprefix("minicnn.")).split(".")[0]


def storeys(root: Path) -> Finding:
    """No import of a storey above."""
    rank = {name: i for i, line in enumerate(STOREYS.split("\n")) for name in line.split()}
    broken = [f"{m} is on no storey" for m in graph(root) if room(m) not in rank]
    for module, others in graph(root).items():
        mine = rank.get(room(module), 0)
        broken += [f"{module} imports {o}" for o in sorted(others) if rank.get(room(o), 99) < mine]
    return Finding(str(len(broken)), broken)


def foreign(root: Path) -> Finding:
    """Numba in kernels only, CuPy in three places, Matplotlib and pooch inside functions."""
    broken = []
    for path in files(root, "minicnn", "kernels"):
        module = module_of(root, path)
        for node, inside in imports(tree_of(path)):
            name = targets(root, path, node)[0].split(".")[0]
            places = PLACES.get(name, (module,))
            early = name in LATE and not inside and module not in IS_LATE
            if not module.startswith(places) or early:
                broken.append(f"{path.relative_to(root)}:{node.lineno} imports {name}")
    return Finding(str(len(broken)), broken)


def loaded(root: Path) -> Finding:
    """``import minicnn`` loads no heavy package, and no folder beside it as a part of it."""
    heavy = "numba matplotlib cupy pooch requests IPython PIL onnx torch sklearn minicnn.exchange"
    heavy += " minicnn.learn minicnn.slips"
    code = f"""if True:
        import sys, importlib.util, minicnn
        print(*(name for name in {heavy.split()} if name in sys.modules))
        print(*(f'minicnn.{{name}}' for name in ('tests', 'benchmarks', 'docs', 'minicnn')
                if importlib.util.find_spec(f'minicnn.{{name}}')))"""
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    found = (said.stdout if said.returncode == 0 else said.stderr[-200:]).split()
    return Finding(str(len(found)), found)


# Words and lines ----------------------------------------------------------------------------------


def functions(node: ast.AST, name: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function below ``node``, with the name of its class."""
    for child in children(node):
        if isinstance(child, ast.FunctionDef):
            yield name + child.name, child
        yield from functions(child, f"{child.name}." if isinstance(child, ast.ClassDef) else name)


def parameters(root: Path) -> Finding:
    """At most 8 parameters, outside of kernels and of signatures that somebody else chose."""
    broken = []
    for path in files(root, "minicnn", "benchmarks", "docs", "tests"):
        if "slow_to_fast" in path.parts:  # versions of kernels
            continue
        for name, function in functions(tree_of(path)):
            a = function.args
            names = [one.arg for one in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
            count = len(names) - (names[:1] in (["self"], ["cls"]))
            if count > MOST_PARAMETERS and name not in LONG_SIGNATURES:
                place = f"{path.relative_to(root)}:{function.lineno}"
                broken.append(f"{place} {name}: {count} parameters")
    return Finding(str(len(broken)), broken)


def lines_of(path: Path) -> tuple[int, int, int]:
    """Lines of code, with a comment, and of docstrings."""
    code, comments, text = set[int](), set[int](), set[int]()
    for node in statements(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    blank = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            if not re.match(r"# (fmt|type|noqa)\b", token.string):
                comments.add(token.start[0])
        elif token.type not in blank:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - text), len(comments), len(text)


def comments(folder: str, least: int = 0) -> Callable[[Path], Finding]:
    """Comments per 100 lines of code, and lines of docstrings, in a folder or file."""

    def per_100_lines(root: Path) -> Finding:
        paths = files(root, folder) or [path for path in [root / f"{folder}.py"] if path.is_file()]
        code, said, text = map(sum, zip(*map(lines_of, paths), strict=True))
        share = 100 * said / code
        low = [f"{folder}: {share:.1f} comments per 100 lines"] if share < least else []
        return Finding(f"{share:.1f}; docstrings {100 * text / code:.0f}", low)

    return per_100_lines


def is_table(node: ast.AST) -> bool:
    """Whether what is written is a literal, or a call that holds the rows of a table."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in TABLES
    return isinstance(node, ast.Tuple | ast.List | ast.Dict | ast.Set)


def unformatted(root: Path) -> Finding:
    """``fmt: skip`` at tables only: literals, layers of a net, launches of kernels."""
    broken, count = [], 0
    for path in files(root, "minicnn", "kernels", "benchmarks", "docs", "tests"):
        if "# fmt: skip\n" not in path.read_text(encoding="utf-8"):
            continue
        tables = [node for node in ast.walk(tree_of(path)) if is_table(node)]
        ends = {table.end_lineno for table in tables}  # type: ignore[attr-defined]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.endswith("# fmt: skip"):
                count += 1
                if number not in ends:
                    broken.append(f"{path.relative_to(root)}:{number} {line.strip()[:60]}")
    return Finding(f"{len(broken)} of {count}", broken)


def words(root: Path) -> Finding:
    """No word that readers stumbled over."""
    broken = []
    kinds = ".py .cu .cuh .js .css .html .md"
    here = files(root, "minicnn", "kernels", "benchmarks", "docs", "tests", kinds=kinds)
    here += [path for path in [root / "README.md", root / "CONTRIBUTING.md"] if path.is_file()]
    for path in here:
        text = "" if "house" in path.name else path.read_text(encoding="utf-8")
        for pattern, better in RETIRED.items():
            for found in re.finditer(pattern, text, re.IGNORECASE):
                line = text.count("\n", 0, found.start()) + 1
                broken.append(f"{path.relative_to(root)}:{line} {found[0]!r}: write {better}")
    return Finding(str(len(broken)), sorted(broken))


def paths(root: Path) -> Finding:
    """Every file of ours that a page, or what CI runs, names is there."""
    names = r"(?<![\w/.])(?:minicnn|kernels|tests|benchmarks|docs|findings)/[\w./-]*\.\w+"
    broken = []
    for page in [
        *files(root, "docs", "tests", kinds=".md"),
        *root.glob("[RC]*.md"),
        root / ".ci/run",
    ]:
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        gone = [path for path in re.findall(names, text) if not (root / path).exists()]
        if "CHANGELOG" not in page.name:
            broken += [f"{page.relative_to(root)} names {path}" for path in gone]
    return Finding(str(len(broken)), broken)


# The table ----------------------------------------------------------------------------------------

RULES: dict[str, Callable[[Path], Finding]] = {
    "source files of over 400 lines": source_files,
    "test files of over 600 lines": test_files,
    "circles of imports": circles,
    "imports of a storey above": storeys,
    "packages imported elsewhere": foreign,
    "loaded by import minicnn": loaded,
    "functions of over 8 parameters": parameters,
    "fmt: skip at no table": unformatted,
    "retired words": words,
    "files named by pages that are gone": paths,
    "comments per 100 lines: compiler": comments("minicnn/compiler", FEWEST_COMMENTS),
    "comments per 100 lines: kernels/tiles": comments("kernels/tiles", FEWEST_COMMENTS),
    "comments per 100 lines: kernels": comments("kernels"),
    "comments per 100 lines: minicnn": comments("minicnn"),
    "comments per 100 lines: tests": comments("tests"),
}


def main(root: Path) -> int:
    """Print the table and what breaks a rule; the exit status."""
    found = {name: rule(root) for name, rule in RULES.items()}
    print(f"{'':40}{'8eabaf1':28}today")
    for name, (figure, broken) in found.items():
        print(f"{'x' if broken else ' '} {name:38}{BEFORE[name]:28}{figure}")
    print(*(line for _, broken in found.values() for line in ["", *broken]), sep="\n")
    return int(any(broken for _, broken in found.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else ROOT))
