"""mxnet.gluon.nn.Block: a layer or a net, its name, its parameters; and Sequential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Self

import minicnn
from minicnn.d2l.facades.modules import Facade

from . import autograd, mistakes, nd, np, npx
from .arrays import Array
from .context import context_of
from .names import Scope, names
from .parameters import Parameter, ParameterDict


class Block:
    """A layer or a net: write ``__init__`` (layers as attributes) and ``forward``.

    Args:
        prefix: begins the names of its parameters; by default its own name and _.
        params: parameters to share, another block's ``params``.
    """

    __module__ = "mxnet.gluon.block"
    hint = ""  # what it is counted as; by default its class's name

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None):
        prefix = (
            f"{names.counted(self.hint or type(self).__name__.lower())}_"
            if prefix is None
            else names.inside(prefix)
        )
        self.prefix, self.name = prefix, prefix.removesuffix("_")
        self._scope = Scope(prefix)
        self._children: dict[str, Block] = {}
        self._own: dict[str, Parameter] = {}
        self.params = ParameterDict(prefix if params is None else params.prefix)
        if params is not None:
            self.params.update(params)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Block | Parameter) and "_children" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__}: write super().__init__() before self.{name} = ..."
            )
        if isinstance(value, Block):
            self._children[name] = value
        elif isinstance(value, Parameter):
            self._own[name] = value
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        raise mistakes.complain(type(self).__name__, name, mistakes.OF_BLOCKS)

    def name_scope(self) -> Scope:
        """``with net.name_scope():`` layers made inside are named after this block."""
        return self._scope

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Add a block, whose parameters then belong to this one."""
        self._children[str(len(self._children)) if name is None else name] = block

    # Computing ------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def forward(self, *inputs: Any) -> Any:
        """What the block computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x)")

    def hybridize(self, active: bool = True, **options: Any) -> None:
        """MXNet then computes the same as one program; here nothing changes."""

    # Parameters -----------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[Block]:
        yield self
        for child in self._children.values():
            yield from child._blocks()

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """All parameters of this block and of those inside; ``select``: a pattern of names."""
        found = ParameterDict(self.params.prefix)
        for block in self._blocks():
            found.update(block.params)
            found.update((p.name, p) for p in block._own.values())
        return found if select is None else found.matching(select)

    def initialize(
        self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False
    ) -> None:
        """Give all parameters numbers, those of unknown shape at the first batch.

        Args:
            init: by default uniform in ±0.07. Biases begin with 0 whatever it is.
            ctx: where; by default the current context.
            force_reinit: also those that have numbers already.

        Raises:
            MXNetError: a GPU that cannot be used here.
            ValueError, TypeError: no initialiser.
        """
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def apply(self, fn: Callable[[Block], Any]) -> Self:
        """Call ``fn`` on every block inside and then on this one; returns this one."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def cast(self, dtype: Any) -> None:
        """Convert all parameters to another dtype."""
        for parameter in self.collect_params().values():
            parameter.cast(dtype)

    def _structural(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Parameters by the places of their blocks: 0.weight, 0.bias."""
        for name, parameter in self._own.items():
            yield prefix + name, parameter
        for name, child in self._children.items():
            yield from child._structural(f"{prefix}{name}.")

    def save_parameters(self, filename: str | Path) -> None:
        """Write all parameters to a safetensors file (MXNet's own format is another)."""
        minicnn.save({name: p.variable for name, p in self._structural()}, filename)

    def load_parameters(self, filename: str | Path, ctx: Any = None) -> None:
        """Read what ``save_parameters`` wrote.

        Raises:
            ValueError: a file of another net.
        """
        state = minicnn.load(filename)
        own = dict(self._structural())
        if own.keys() != state.keys():
            raise ValueError(
                f"load_parameters: the file has {', '.join(state)}; this net {', '.join(own)}"
            )
        for name, parameter in own.items():
            parameter.complete(state[name].shape)
            if not parameter.has_numbers or ctx is not None:
                parameter.initialize("zeros", ctx, force_reinit=True)
            parameter.set_data(npx.array_type()(state[name]))

    # What it looks like ---------------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = [f"  ({n}): " + repr(b).replace("\n", "\n  ") for n, b in self._children.items()]
        return "\n".join([f"{type(self).__name__}(", *(lines or [""]), ")"])


class HybridBlock(Block):
    """A block that MXNet could turn into one program; here a block."""

    __module__ = "mxnet.gluon.block"

    def forward(self, *inputs: Any) -> Any:
        """``hybrid_forward(F, x, weight=...)`` of the older way to write blocks, where there is."""
        compute = getattr(type(self), "hybrid_forward", None)
        if compute is None:
            return super().forward(*inputs)
        own = {name: parameter.data() for name, parameter in self._own.items()}
        return compute(self, _functions(), *inputs, **own)


def _functions() -> Facade:
    """What ``hybrid_forward`` calls F."""
    names = {**np.NAMES, **npx.NAMES} if npx.is_np_array() else nd.NAMES
    return Facade("F", "MXNet's functions on minicnn.", names)


class Sequential(Block):
    """Blocks one after the other. Iterates, indexes and slices."""

    __module__ = "mxnet.gluon.nn.basic_layers"

    def __init__(self, *blocks: Any, prefix: str | None = None, params: Any = None):
        if blocks:
            kind = type(self).__name__
            raise TypeError(f"{kind}: received blocks; write net = nn.{kind}(), net.add(...)")
        super().__init__(prefix, params)

    def add(self, *blocks: Block) -> None:
        """Add blocks at the end.

        Raises:
            TypeError: something else than blocks.
        """
        for block in blocks:
            if not isinstance(block, Block):
                raise TypeError(
                    f"add: received {type(block).__name__}; wanted blocks: nn.Dense(10)"
                )
            self.register_child(block)

    def forward(self, x: Any, *others: Any) -> Any:
        """The last block's result of the one before's."""
        for block in self._children.values():
            x = block(x)
        return x

    def __len__(self) -> int:
        return len(self._children)

    def __iter__(self) -> Iterator[Block]:
        return iter(list(self._children.values()))

    def __getitem__(self, key: Any) -> Any:
        blocks = list(self._children.values())[key]
        if not isinstance(blocks, list):
            return blocks
        part = type(self)(prefix=self.prefix)
        part.add(*blocks)
        return part


class HybridSequential(Sequential, HybridBlock):
    """As ``Sequential``."""

    __module__ = "mxnet.gluon.nn.basic_layers"


class Layer(HybridBlock):
    """A layer of MXNet, over the engine's functions: write ``compute(x)``, of tensors."""

    def __call__(self, x: Any) -> Any:
        if type(x) is not npx.array_type():
            self._refuse(x)
        with autograd.as_recorded():
            return x._of(self.compute(x.tensor))

    def _refuse(self, x: Any) -> NoReturn:
        """Say which kind of array a net takes (TypeError)."""
        wanted = "an NDArray: nd.array(x)"
        if npx.is_np_array():
            wanted = "np's array after npx.set_np(): np.array(x)"
        elif isinstance(x, Array):
            wanted = "an NDArray, or call npx.set_np() first, after which nets take np's arrays"
        raise TypeError(f"{self.name}: input is {type(x).__name__}; wanted {wanted}")

    def compute(self, x: Any) -> Any:
        """The layer's function of the engine's tensor."""
        raise NotImplementedError

    def parameters_for(self, x: Any, **shapes: tuple[int, ...]) -> list[Any]:
        """The tensors of own parameters, completed where their shapes follow from the input.

        Raises:
            RuntimeError: they were not initialised, or are on another context than the input.
        """
        tensors: list[Any] = []
        for name, shape in shapes.items():
            parameter = self._own.get(name)
            if parameter is None:
                tensors.append(None)
                continue
            if parameter.is_waiting:
                parameter.complete(shape)
            variable = parameter.variable
            if variable.device != x.device:
                here, there = x.device, variable.device
                raise RuntimeError(
                    f"{self.name}: the input is on {context_of(here)}, {parameter.name} on "
                    f"{context_of(there)}; write X.as_in_context({context_of(there)})"
                )
            tensors.append(variable)
        return tensors
