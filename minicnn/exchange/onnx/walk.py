"""The walk through an ONNX graph: constants are computed, the rest has to be a chain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.exchange.libraries import library
from minicnn.tensor import Tensor

from .limits import batch_of, check_constant
from .reading import Chain, Node
from .writing import Shape, UnsupportedError

BATCH = 2  # of the zeros that go through the layers, where the file leaves the batch open
OWN_DOMAINS = ("", "ai.onnx")  # of ONNX's own operators
ONE_AXIS = ("Softmax", "LogSoftmax", "Hardmax")  # since opset 13; the evaluator knows no others


class Walk:
    """Reads the nodes of ``model`` one by one into a chain of layers.

    Args:
        model: an ``onnx.ModelProto``.
        operators: the readers of the nodes, by operator.

    Attributes:
        chain: the layers so far.
        halves: how many tensors in float16 and bfloat16 became float32.
    """

    def __init__(self, model: Any, operators: Mapping[str, Callable[[Node, Chain], None]]):
        self.onnx, self.model, self.operators = library("onnx"), model, operators
        opsets = (o.version for o in model.opset_import if o.domain in OWN_DOMAINS)
        self.opset = next(opsets, 0)  # 0: all operators are of other people's domains
        self.halves = 0
        self.refused: list[str] = []
        self.unknown: dict[str, list[str]] = {}
        # the arrays by name; None for what depends on sizes that the file leaves open
        self.constants: dict[str, np.ndarray | None] = {
            tensor.name: self._array(tensor) for tensor in model.graph.initializer
        }
        inputs = [value for value in model.graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            self.refused.append(f"{len(inputs)} inputs, {[i.name for i in inputs]}; wanted one")
        self.chain = Chain(_zeros(self.onnx, inputs[0]) if inputs else None)
        self.value = inputs[0].name if inputs else ""
        # the shapes of all values that are computed from the input
        self.shapes: dict[str, Shape | None] = {i.name: self.chain.shape for i in inputs}

    def read(self) -> list[str]:
        """Read all nodes into ``chain``. Returns what could not be read, and why."""
        for proto in self.model.graph.node:
            self._take(proto)
        outputs = [value.name for value in self.model.graph.output]
        if outputs != [self.value]:
            self.refused.append(f"outputs {outputs}; wanted one, the end of a chain")
        if self.chain.axes or self.chain.order is not None or self.chain.lowest:
            self.refused.append("its result is transposed, or framed with -inf")
        return [*self.refused, *(_counted(*item) for item in self.unknown.items())]

    def _take(self, proto: Any) -> None:
        """Read a node; ONNX keeps them in an order in which they can be computed."""
        places = [i for i, name in enumerate(proto.input) if name in self.shapes]
        try:
            if not places:
                self.constants |= self._computed(proto)
            elif _name(proto) == "Shape":
                self.constants[proto.output[0]] = self._shape_told(proto)
            else:
                self._read(proto, places)
        except (UnsupportedError, ValueError, TypeError) as error:
            self._refuse(proto, str(error))
        except Exception as error:  # a damaged file raises what it happens to lead to
            self._refuse(proto, f"{type(error).__name__} {error}")
        if places and _name(proto) != "Shape":
            self.value = proto.output[0]
            self.shapes |= dict.fromkeys(proto.output, self.chain.shape)

    def _shape_told(self, proto: Any) -> np.ndarray | None:
        """What ``Shape`` tells of a value; None if the file leaves sizes open."""
        shape, named = self.shapes[proto.input[0]], {a.name: a.i for a in proto.attribute}
        part = slice(named.get("start"), named.get("end"))
        return None if shape is None else np.array(shape[part], np.int64)

    def _read(self, proto: Any, places: list[int]) -> None:
        if _name(proto) not in self.operators:
            self.unknown.setdefault(_name(proto), []).append(proto.name)
            raise UnsupportedError
        if len(places) > 1:
            raise UnsupportedError("it joins several results; wanted a chain")
        if proto.input[places[0]] != self.value:
            raise UnsupportedError("it takes an earlier result; wanted a chain")
        if places[0] and proto.op_type not in ("Add", "Mul"):
            raise UnsupportedError(f"it takes the result as its input {places[0]}; wanted 0")
        if self.chain.lowest and proto.op_type != "MaxPool":
            raise UnsupportedError("its input has a frame of -inf, which only a max pooling takes")
        constants = [self.constants.get(n) for i, n in enumerate(proto.input) if i != places[0]]
        attributes = {a.name: self._attribute(a) for a in proto.attribute}
        node = Node(proto.op_type, attributes, constants, self.opset)
        self.operators[proto.op_type](node, self.chain)

    def _attribute(self, attribute: Any) -> Any:
        value = self.onnx.helper.get_attribute_value(attribute)
        return value.decode() if isinstance(value, bytes) else value

    def _refuse(self, proto: Any, reason: str) -> None:
        """Keep the reason; the walk goes on with the shape that ONNX infers, if it does."""
        if reason:
            self.refused.append(f"{proto.op_type} {proto.name!r}: {reason}")
        self.chain = Chain(self._inferred(proto.output[0]), [nn.Identity()], is_lost=True)

    def _inferred(self, name: str) -> Tensor | None:
        """Zeros of the shape that ONNX infers for a value."""
        value = self._inferred_values.get(name)
        return None if value is None else _zeros(self.onnx, value)

    @cached_property
    def _inferred_values(self) -> dict[str, Any]:
        """What ONNX infers of the graph's values, by name; once, as it reads the whole graph."""
        try:
            graph = self.onnx.shape_inference.infer_shapes(self.model, data_prop=True).graph
        except Exception:  # what cannot be read may be what cannot be inferred either
            return {}
        return {value.name: value for value in (*graph.value_info, *graph.output)}

    def _computed(self, proto: Any) -> dict[str, np.ndarray | None]:
        """What a node makes of constants, by ONNX's own evaluator."""
        given = {name: self.constants.get(name) for name in proto.input if name}
        if any(array is None for array in given.values()):
            return dict.fromkeys(proto.output)
        check_constant(proto, [*given.values()])
        if self.opset < 13 and proto.op_type in ONE_AXIS:
            raise UnsupportedError("it is of constants, and over all axes as before opset 13")
        helper, values = self.onnx.helper, self.onnx.ValueInfoProto
        # a model of one node: of a node alone the evaluator takes the newest version
        graph = helper.make_graph(
            [proto],
            "constant",
            [values(name=name) for name in given],
            [values(name=name) for name in proto.output],
        )
        opset = helper.make_opsetid("", self.opset)
        model = helper.make_model(graph, opset_imports=[opset])
        results = library("onnx.reference").ReferenceEvaluator(model).run(None, given)
        return {n: self._widened(a) for n, a in zip(proto.output, results, strict=False)}

    def _array(self, tensor: Any) -> np.ndarray:
        return self._widened(self.onnx.numpy_helper.to_array(tensor))

    def _widened(self, array: np.ndarray) -> np.ndarray:
        """float16 and bfloat16 as float32."""
        if str(array.dtype) not in ("float16", "bfloat16"):
            return array
        self.halves += 1
        return array.astype(np.float32)


def _zeros(onnx: Any, value: Any) -> Tensor | None:
    """A batch of zeros for a value of the graph; None if more than the batch is open."""
    kind = value.type.tensor_type
    sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
    shape = batch_of(sizes, BATCH)
    if shape is None:
        return None
    dtype = np.float64 if kind.elem_type == onnx.TensorProto.DOUBLE else np.float32
    return Tensor(np.zeros(shape, dtype))


def _name(proto: Any) -> str:
    """A node's operator; that of another domain with the domain: ``com.microsoft.Conv``."""
    is_own = proto.domain in OWN_DOMAINS
    return proto.op_type if is_own else f"{proto.domain}.{proto.op_type}"


def _counted(operator: str, names: list[str]) -> str:
    """``LayerNormalization (3 nodes, the first 'norm')``."""
    count = f"{len(names)} nodes, the first " if len(names) > 1 else ""
    return f"{operator} ({count}{names[0]!r}): minicnn has no such operator"
