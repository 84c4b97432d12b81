"""Every name that the engine takes from CuPy exists there, and every call of it fits.

The texts are read, not run; api.json has the names and parameters of the real CuPy.
"""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API: dict[str, dict[str, str | None]] = json.loads(
    (ROOT / "tests/gpu/standin/cupy/api.json").read_text()
)
API["cupy"]["__version__"] = None
FILES = sorted([*ROOT.glob("kernels/gpu/*.py"), *ROOT.glob("minicnn/**/*.py")])


class Reader:
    """Tells which expressions of a text are CuPy's, by their place: "cupy.cuda.Stream.record"."""

    def __init__(self, text: str) -> None:
        self.nodes = list(ast.walk(ast.parse(text)))
        self.places = {"cupy": "cupy", "xp": "cupy"}
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                self.bind(node.targets[0], node.value)
        found = {self.place(node) for node in self.nodes if isinstance(node, ast.Attribute)}
        self.used = sorted(place for place in found if place)

    def bind(self, target: ast.expr, value: ast.expr) -> None:
        """Remember a name that an assignment gives to something of CuPy's."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for pair in zip(target.elts, value.elts, strict=True):
                self.bind(*pair)
        elif isinstance(target, ast.Name) and (place := self.place(value)):
            self.places[target.id] = place

    def place(self, node: ast.expr) -> str | None:
        """The place of an expression; an object has its class's. None: nothing of CuPy's."""
        match node:
            case ast.Name():
                return self.places.get(node.id)
            case ast.Attribute(attr="xp") | ast.Call(func=ast.Name(id="array_module" | "_cupy")):
                return "cupy"
            case ast.Attribute() if owner := self.place(node.value):
                is_ufunc = "casting=" in (API["cupy"].get(owner.removeprefix("cupy.")) or "")
                return f"{'cupy.ufunc' if is_ufunc else owner}.{node.attr}"
            case ast.Call() if function := self.place(node.func):
                is_function = API["cupy"].get(function.removeprefix("cupy."))
                return function if function in API else "cupy.ndarray" if is_function else None
        return None

    def complaints(self) -> list[str]:
        """What CuPy does not have, or does not take."""
        split = [place.rpartition(".")[::2] for place in self.used]
        missing = [name for owner, name in split if name not in API.get(owner, [name])]
        problems = [self.problem_of(node) for node in self.nodes if isinstance(node, ast.Call)]
        return [f"{name}: no such name" for name in missing] + [text for text in problems if text]

    def problem_of(self, call: ast.Call) -> str | None:
        """Why the arguments are not what the function takes."""
        owner, _, name = (self.place(call.func) or "").rpartition(".")
        parameters = API.get(owner, {}).get(name)
        keywords = {keyword.arg: None for keyword in call.keywords}
        if not parameters or None in keywords or any(isinstance(a, ast.Starred) for a in call.args):
            return None
        try:
            signature = inspect.signature(eval(f"lambda {parameters[1:-1]}: None"))
            signature.bind(*call.args, **{str(name): None for name in keywords})
        except TypeError as error:
            return f"{owner}.{name}{parameters}, line {call.lineno}: {error}"
        return None


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_name_exists_and_every_call_fits(file: Path) -> None:
    assert Reader(file.read_text()).complaints() == []


def test_the_names_are_found() -> None:
    used = {place for file in FILES for place in Reader(file.read_text()).used}
    assert used >= {"cupy.RawModule", "cupy.ufunc.at", "cupy.ndarray.astype", "cupy.copyto"}
    assert used >= {"cupy.cuda.runtime.getDeviceCount", "cupy.cuda.Stream.begin_capture"}
    assert API["version"] == {"14.2.0": None}


WRONG = {
    "cupy.emtpy(3)": "emtpy: no such name",
    "cupy.empty(shap=3)": "missing a required argument: 'shape'",
    "cupy.zeros(3, dtyp=int)": "unexpected keyword argument 'dtyp'",
    "cupy.arange(1, 2, 3, float, 4)": "too many positional arguments",
    "array_module(x).concatenate(xs, axes=1)": "'axes'",
    "xp.add.att(x, i, 1)": "att: no such name",
    "xp.exp(x).summ(axis=1)": "summ: no such name",
    "cuda, n = self.program.xp.cuda, 1\ncuda.Evnt()": "Evnt: no such name",
    "s = cupy.cuda.Stream()\nwith s: s.begin_captur()": "begin_captur: no such name",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_name_or_call_is_noticed(text: str) -> None:
    (found,) = Reader(text).complaints()
    assert WRONG[text] in found
