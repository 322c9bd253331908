"""Reads a model of ONNX: one node after another, each by what an operator says of itself."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import dhc.ops  # noqa: F401  (every operator registers itself)
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array, Constant, Graph, Input, Literal_, Node, Origin, Param, topological
from dhc.ir.size import Size, symbol
from dhc.ir.types import Tensor, dtype_of
from dhc.onnx.file import DEEPEST, array_of, open_model, refused
from dhc.onnx.functions import standard_function, usual_attributes
from dhc.onnx.known import on_sizes
from dhc.onnx.names import Names
from dhc.ops.base import TypeRuleError, operators, run
from dhc.ops.foreign import ELEMENTS, Call, ForeignError, Known, Reader, Value, readers

if TYPE_CHECKING:
    import onnx

OPSETS = range(6, 29)
SMALL = 1 << 20  # elements of results that are computed while reading
_DOMAINS = ("", "ai.onnx")
_UNFIT = (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(frozen=True)
class Imported:
    """A model that was read.

    Attributes:
        graph: What it computes.
        values: Its parameters by path.
    """

    graph: Graph
    values: Mapping[str, Array]


def load(path: str | Path, given: Mapping[str, Array] | None = None) -> Imported:
    """Reads a file.

    Args:
        path: The file.
        given: Values of inputs that carry shapes, axes or other settings; these are no inputs any
            more, and everything that follows from them is computed here.

    Raises:
        DhcError: with everything in it that cannot be read: node, operator, version and reason.
    """
    file = Path(path)
    model = open_model(file)
    try:
        return _Reader(model, file).read(given or {})
    except _UNFIT as error:  # such as names that are no text
        raise refused(f"'{path}' is damaged: {error}.") from error


@dataclass
class _Problems:
    """What could not be read, and what follows from it and needs no words."""

    found: list[Diagnostic] = field(default_factory=list)

    def add(self, node: onnx.NodeProto, opset: int, reason: str) -> None:
        name = f" '{node.name}'" if node.name else ""
        text = f"The node{name} of {node.op_type} (version {opset}) cannot be read: {reason}."
        self.found.append(Diagnostic("onnx", text))


@dataclass(frozen=True)
class _Scope:
    """Names of a graph or a function: of values, and of the version of its operators.

    Attributes:
        values: What each name stands for; None for what could not be read.
        opset: The version of the operators.
        read: The names of values that something reads.
        attributes: What the call of a function says, by name, as ONNX writes it.
        depth: How many functions and graphs stand around it.
    """

    values: MutableMapping[str, Value | None]
    opset: int
    read: frozenset[str]
    attributes: Mapping[str, onnx.AttributeProto] = field(default_factory=dict)
    depth: int = 0


class _Reader:
    """Keeps what is known of a model while its nodes are read in their order."""

    def __init__(self, model: onnx.ModelProto, file: Path) -> None:
        self._model = model
        self._folder = file.parent
        self._name = Names().of(model.graph.name or file.stem)
        self._inputs, self._outputs, self._sizes, self._paths = (Names() for _ in range(4))
        self._operators = _of_operators()
        self._functions = {(each.domain, each.name): each for each in model.functions}
        self._parameters: dict[str, Array] = {}
        self._constants: dict[str, Array] = {}
        self._origins: dict[Node, tuple[Origin, ...]] = {}
        self._problems = _Problems()

    def read(self, given: Mapping[str, Array]) -> Imported:
        graph = self._model.graph
        outward = [each.name for each in graph.output]
        scope = _Scope({}, _opset(self._model.opset_import), _read_names(graph.node, outward))
        self._initializers(graph, scope)
        for name, array in given.items():
            scope.values[name] = Known(np.asarray(array), dtype_of(np.asarray(array)))
        inputs = [self._input(e, scope) for e in graph.input if e.name not in scope.values]
        for node in graph.node:
            self._node(node, scope)
        outputs = [self._output(each.name, scope) for each in graph.output]
        if self._problems.found:
            raise DhcError(self._problems.found)
        made = Graph(
            self._name, tuple(inputs), tuple(outputs), origins=self._origins,
            constants=self._constants,
        )  # fmt: skip
        used = {node.op.path for node in topological(made.roots) if isinstance(node.op, Param)}
        return Imported(made, {p: a for p, a in self._parameters.items() if p in used})

    def _initializers(self, graph: onnx.GraphProto, scope: _Scope) -> None:
        for tensor in graph.initializer:
            array, dtype = array_of(tensor, self._folder)
            path = tensor.name if dtype.is_float and array.ndim else ""
            scope.values[tensor.name] = Known(array, dtype, path)

    # ---- inputs and outputs ------------------------------------------------------------------

    def _input(self, each: onnx.ValueInfoProto, scope: _Scope) -> Node:
        type = each.type.tensor_type
        dtype = ELEMENTS.get(type.elem_type)
        if dtype is None or not type.HasField("shape"):
            raise refused(f"The input '{each.name}' is no tensor of known type and rank.")
        shape = tuple(self._size(each.name, k, dim) for k, dim in enumerate(type.shape.dim))
        node = Input(self._inputs.of(each.name), Tensor(dtype, shape))()
        scope.values[each.name] = node
        return node

    def _size(self, name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> Size:
        if dim.HasField("dim_value"):
            if dim.dim_value < 1:
                raise refused(f"The input '{name}' has no elements.")
            return int(dim.dim_value)
        return symbol(self._sizes.of(dim.dim_param or f"axis {axis} of {name}"))

    def _output(self, name: str, scope: _Scope) -> tuple[str, Node]:
        value = scope.values.get(name)
        if value is None:
            if not self._problems.found:
                raise refused(f"Nothing computes the output '{name}'.")
            return name, Literal_(0, ELEMENTS[1])()
        node = self._keep(value) if isinstance(value, Known) else value
        return self._outputs.of(name), node

    # ---- nodes -------------------------------------------------------------------------------

    def _node(self, node: onnx.NodeProto, scope: _Scope) -> None:
        try:
            results = self._results(node, scope)
        except (ForeignError, TypeRuleError) as error:
            self._problems.add(node, scope.opset, str(error).rstrip("."))
            results = None
        except _UNFIT as error:  # readers trust the numbers of inputs, axes and attributes
            reason = f"its inputs and attributes do not fit together ({error})"
            self._problems.add(node, scope.opset, reason)
            results = None
        for number, name in enumerate(node.output):
            if name:
                known = results is not None and number < len(results)
                scope.values[name] = results[number] if known and results is not None else None

    def _results(self, node: onnx.NodeProto, scope: _Scope) -> tuple[Value | None, ...] | None:
        """What a node gives; None if it follows from something that could not be read."""
        inputs: list[Value | None] = []
        for name in node.input:
            if name and name not in scope.values:
                raise ForeignError(f"nothing computes its input '{name}'")
            found = scope.values[name] if name else None
            if name and found is None:
                return None
            inputs.append(found)
        node = _with_attributes(node, scope)
        if node.op_type == "If" and node.domain in _DOMAINS:
            return self._chosen(node, inputs[0], scope)
        reader = self._reader(node)
        if reader is None:
            return self._inlined(node, inputs, scope)
        attributes = {each.name: self._attribute(each) for each in node.attribute}
        wanted = [name in scope.read for name in node.output]
        call = Call(node.op_type, scope.opset, inputs, attributes, wanted, self._keep)
        made = self._read(call, reader, inputs)
        if call.unasked:
            raise ForeignError(f"it has the attribute '{call.unasked[0]}', which dhc does not know")
        results = made if isinstance(made, tuple) else (made,)
        for value in results:
            if isinstance(value, Node) and value.inputs:
                self._origins.setdefault(value, (Origin(None, node.name or node.output[0]),))
        return results

    def _inlined(
        self,
        node: onnx.NodeProto,
        inputs: Sequence[Value | None],
        scope: _Scope,
    ) -> tuple[Value | None, ...]:
        """What a node gives that is a function: of the model, or in ONNX's own words.

        Raises:
            ForeignError: if it is none, or functions call each other too deeply.
        """
        own = self._functions.get((node.domain, node.op_type))
        function = own or standard_function(node, scope.opset, inputs)
        if function is None:
            domain = f" of '{node.domain}'" if node.domain not in _DOMAINS else ""
            raise ForeignError(f"dhc has no operator '{node.op_type}'{domain}")
        if scope.depth >= DEEPEST:
            raise ForeignError(f"functions call each other more than {DEEPEST} deep")
        said = usual_attributes(node, scope.opset) | {
            each.name: each for each in (*function.attribute_proto, *node.attribute)
        }
        padded = [*inputs, *[None] * (len(function.input) - len(inputs))]
        values: dict[str, Value | None] = dict(zip(function.input, padded, strict=False))
        version = _opset(function.opset_import) if function.opset_import else scope.opset
        read = _read_names(function.node, function.output)
        inner = _Scope(values, version, read, said, scope.depth + 1)
        self._within(function.node, inner)
        return tuple(inner.values.get(name) for name in function.output)

    def _chosen(
        self, node: onnx.NodeProto, condition: Value | None, scope: _Scope
    ) -> tuple[Value | None, ...]:
        """What a branch gives, where it is known which one.

        Raises:
            ForeignError: if it is only known when the model runs.
        """
        if not isinstance(condition, Known):
            raise ForeignError("which branch it takes must be known before the model runs")
        if scope.depth >= DEEPEST:
            raise ForeignError(f"graphs stand within each other more than {DEEPEST} deep")
        name = "then_branch" if condition.array.reshape(-1)[0] else "else_branch"
        branch = next(each.g for each in node.attribute if each.name == name)
        values: ChainMap[str, Value | None] = ChainMap({}, scope.values)
        read = _read_names(branch.node, [each.name for each in branch.output])
        inner = _Scope(values, scope.opset, read, scope.attributes, scope.depth + 1)
        self._initializers(branch, inner)
        self._within(branch.node, inner)
        return tuple(values.get(each.name) for each in branch.output)

    def _within(self, nodes: Iterable[onnx.NodeProto], inner: _Scope) -> None:
        """Reads the nodes of a function or a branch.

        Raises:
            ForeignError: with the first of what cannot be read.
        """
        before = len(self._problems.found)
        for each in nodes:
            self._node(each, inner)
        if len(self._problems.found) > before:
            reason = self._problems.found[before].message
            del self._problems.found[before:]
            raise ForeignError(f"of what it is made of: {reason}")

    def _read(
        self, call: Call, reader: Reader, inputs: Sequence[Value | None]
    ) -> Value | tuple[Value, ...]:
        given = [each for each in inputs if each is not None]
        constant = bool(given) and all(isinstance(each, Known) for each in given)
        if constant and any(isinstance(each, Known) and each.has_names for each in given):
            found = on_sizes(call)
            if found is not None:
                return found
        made = reader(call)
        if not constant or any(isinstance(each, Known) and each.path for each in given):
            return made
        folded = tuple(map(self._folded, made if isinstance(made, tuple) else (made,)))
        return folded if isinstance(made, tuple) else folded[0]

    def _folded(self, value: Value) -> Value:
        """The elements of a node that depends on nothing, if they are not too many."""
        if isinstance(value, Known) or not all(isinstance(s, int) for s in value.type.shape):
            return value
        if any(isinstance(node.op, (Input, Param)) for node in topological([value])):
            return value
        if int(np.prod(value.type.static_shape)) > SMALL:
            return value
        (array,) = run([value], {}, self._constants)
        return Known(np.asarray(array), value.type.dtype)

    def _reader(self, node: onnx.NodeProto) -> Reader | None:
        """What reads such nodes; None if they are made of others, or unknown."""
        if node.domain not in _DOMAINS or (node.domain, node.op_type) in self._functions:
            return None
        found = readers.get(node.op_type)
        return found or self._operators.get(node.op_type)

    def _attribute(self, each: onnx.AttributeProto) -> object:
        """An attribute as Python has it.

        Raises:
            ForeignError: if it is a graph, which dhc cannot read yet.
        """
        match each.type:
            case 1:
                return float(each.f)
            case 2:
                return int(each.i)
            case 3:
                return each.s.decode("utf-8", "replace")
            case 4:
                array, dtype = array_of(each.t, self._folder)
                return Known(array, dtype)
            case 6:
                return tuple(map(float, each.floats))
            case 7:
                return tuple(map(int, each.ints))
            case 8:
                return tuple(part.decode("utf-8", "replace") for part in each.strings)
        raise ForeignError(f"its attribute '{each.name}' is of a kind that dhc cannot read")

    def _keep(self, value: Known) -> Node:
        """A known tensor as a node: a parameter, a constant, or one number."""
        if value.has_names:
            raise ForeignError("it computes with sizes of inputs that are not known")
        type = Tensor(value.dtype, value.array.shape)
        if value.path:
            path = self._paths.path_of(value.path)
            self._parameters[path] = value.array
            return Param(path, type)()
        if value.array.ndim == 0:
            return Literal_(value.array.item(), value.dtype)()
        content = np.ascontiguousarray(value.array)
        digest = hashlib.sha256(f"{type}".encode() + content.tobytes()).hexdigest()
        self._constants[digest] = content
        return Constant(digest, type)()


def _read_names(nodes: Iterable[onnx.NodeProto], outward: Iterable[str]) -> frozenset[str]:
    """The names that nodes read, also within their graphs, and those that go outward."""
    found = set(outward)
    for node in nodes:
        found.update(node.input)
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                found |= _read_names(graph.node, [each.name for each in graph.output])
    return frozenset(found - {""})


def _with_attributes(node: onnx.NodeProto, scope: _Scope) -> onnx.NodeProto:
    """A node of a function with what the call says in place of names."""
    if not any(each.ref_attr_name for each in node.attribute):
        return node
    found = type(node)()
    found.CopyFrom(node)
    del found.attribute[:]
    for each in node.attribute:
        if not each.ref_attr_name:
            found.attribute.append(each)
        elif each.ref_attr_name in scope.attributes:
            said = found.attribute.add()
            said.CopyFrom(scope.attributes[each.ref_attr_name])
            said.name = each.name
    return found


def _of_operators() -> dict[str, Reader]:
    """The operators that read nodes of a name; the first one where there are several."""
    found: dict[str, Reader] = {}
    for operator in operators.values():
        if operator.onnx is not None:
            found.setdefault(operator.onnx.op_type, operator.from_onnx)
    return found


def _opset(imports: Sequence[onnx.OperatorSetIdProto]) -> int:
    for each in imports:
        if each.domain in _DOMAINS:
            if each.version not in OPSETS:
                text = f"The model uses version {each.version} of ONNX's operators."
                raise refused(text, f"dhc reads versions {OPSETS[0]} to {OPSETS[-1]}")
            return int(each.version)
    raise refused("The model does not say which version of ONNX's operators it uses.")
