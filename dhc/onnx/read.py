"""Reads a model of ONNX: one node after another, each by what an operator says of itself."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import dhc.ops  # noqa: F401  (every operator registers itself)
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import (
    Array,
    Constant,
    Graph,
    Input,
    Literal_,
    Node,
    Op,
    Origin,
    Param,
    topological,
)
from dhc.ir.number import canonical
from dhc.ir.size import Expr, Size, symbol
from dhc.ir.types import DType, Tensor
from dhc.onnx import control, sequences  # noqa: F401  (they register what reads such nodes)
from dhc.onnx.file import DEEPEST, MOST_BYTES, MOST_NODES, array_of, open_model, refused
from dhc.onnx.functions import standard_function, usual_attributes
from dhc.onnx.imported import Given, Imported, NotKnownError, Result, held
from dhc.onnx.known import on_sizes, sizes_node
from dhc.onnx.names import Names
from dhc.onnx.scope import Problems, Scope, read_names
from dhc.onnx.tidy import tidied
from dhc.ops.base import TypeRuleError, operators, run
from dhc.ops.empty import without_elements
from dhc.ops.foreign import (
    ELEMENTS,
    Body,
    Call,
    ForeignError,
    Held,
    Known,
    Nothing,
    Reader,
    Results,
    Tensors,
    Value,
    readers,
)

if TYPE_CHECKING:
    import onnx

OPSETS = range(6, 29)
SMALL = 1 << 20  # elements of results that are computed while reading
_DOMAINS = ("", "ai.onnx")
_UNFIT = (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError)


def load(path: str | Path, given: Mapping[str, Given] | None = None) -> Imported:
    """Reads a file.

    Args:
        path: The file.
        given: Values of inputs that carry shapes, axes or other settings; these are no inputs any
            more, and everything that follows from them is computed here.

    Raises:
        DhcError: with everything in it that cannot be read: node, operator, version and reason.
        NotKnownError: if more of the inputs must be given.
    """
    return read(open_model(Path(path)), Path(path), given)


def read(model: onnx.ModelProto, file: Path, given: Mapping[str, Given] | None = None) -> Imported:
    """Reads a model, with other data in the folder of this file; the same as `load` besides."""
    try:
        return _Reader(model, file).read(given or {})
    except _UNFIT as error:  # such as names that are no text
        raise refused(f"'{file}' is damaged: {error}.") from error


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
        self._problems = Problems()
        self._asked: dict[Node, str] = {}
        self._made: list[tuple[str, Node]] = []
        self._count = 0
        self._bytes = 0

    def read(self, given: Mapping[str, Given]) -> Imported:
        graph = self._model.graph
        outward = [each.name for each in graph.output]
        scope = Scope({}, _opset(self._model.opset_import), read_names(graph.node, outward))
        self._initializers(graph, scope)
        if missing := sorted(given.keys() - {each.name for each in graph.input}):
            raise refused(f"The model has no input '{missing[0]}', whose value is given.")
        for each in graph.input:
            if each.name in given:
                scope.values[each.name] = held(given[each.name], each)
            elif each.name not in scope.values:
                scope.values[each.name] = self._input(each)
        for node in graph.node:
            self._node(node, scope)
        if self._problems.found:
            raise self._unread()
        outputs = {name: self._output(name, scope.values.get(name)) for name in outward}
        made = Graph(
            self._name, tuple(self._asked), tuple(self._made), origins=self._origins,
            constants=self._constants,
        )  # fmt: skip
        nodes = list(topological(made.roots))
        if any(0 in node.type.shape for node in nodes):
            raise refused("The model computes with tensors that have no elements.")
        used = {node.op.path for node in nodes if isinstance(node.op, Param)}
        values = {path: array for path, array in self._parameters.items() if path in used}
        return Imported(*tidied(made, values), tuple(self._asked.values()), outputs)

    def _unread(self) -> DhcError:
        """The error with all problems, and with the inputs that would have to be known."""
        sources = topological(frozenset().union(*self._problems.unknown))
        needed = {self._asked[node] for node in sources if node in self._asked}
        found = self._problems.found
        return NotKnownError(found, needed) if needed else DhcError(found)

    def _initializers(self, graph: onnx.GraphProto, scope: Scope) -> None:
        for tensor in graph.initializer:
            array, dtype = array_of(tensor, self._folder)
            path = tensor.name if dtype.is_float and array.ndim else ""
            scope.values[tensor.name] = Known(array, dtype, path)

    # ---- inputs and outputs ------------------------------------------------------------------

    def _input(self, each: onnx.ValueInfoProto) -> Value:
        """An input as a node; without elements it is known.

        Raises:
            DhcError: if its type or rank is not known.
        """
        if not each.type.HasField("tensor_type"):
            text = f"The input '{each.name}' is no tensor; it must be given."
            raise NotKnownError([Diagnostic("onnx", text)], [each.name])
        type = each.type.tensor_type
        dtype = ELEMENTS.get(type.elem_type)
        if dtype is None or not type.HasField("shape"):
            raise refused(f"The input '{each.name}' is no tensor of known type and rank.")
        shape = tuple(self._size(each.name, k, dim) for k, dim in enumerate(type.shape.dim))
        if 0 in shape:
            return without_elements(Tensor(dtype, shape))
        node = Input(self._inputs.of(each.name), Tensor(dtype, shape))()
        self._asked[node] = each.name
        return node

    def _size(self, name: str, axis: int, dim: onnx.TensorShapeProto.Dimension) -> Size:
        if dim.HasField("dim_value"):
            if dim.dim_value < 0:
                raise refused(f"The input '{name}' says that it has {dim.dim_value} elements.")
            return int(dim.dim_value)
        return symbol(self._sizes.of(dim.dim_param or f"axis {axis} of {name}"))

    def _output(self, name: str, value: Held | None) -> Result:
        match value:
            case None:
                raise refused(f"Nothing computes the output '{name}'.")
            case Nothing():
                return None
            case Tensors(items):
                return [self._output(f"{name}_{k}", item) for k, item in enumerate(items)]
            case Known(array) if array.size == 0:
                return array
        node = self._keep(value) if isinstance(value, Known) else value
        label = self._outputs.of(name)
        self._made.append((label, node))
        return label

    # ---- nodes -------------------------------------------------------------------------------

    def _node(self, node: onnx.NodeProto, scope: Scope) -> None:
        self._count += 1
        if self._count > MOST_NODES:
            raise refused(f"The model has more than {MOST_NODES} nodes, those of loops counted.")
        try:
            results = self._results(node, scope)
        except (ForeignError, TypeRuleError) as error:
            self._problems.add(node, scope.opset, error)
            results = None
        except _UNFIT as error:  # readers trust the numbers of inputs, axes and attributes
            reason = ForeignError(f"its inputs and attributes do not fit together ({error})")
            self._problems.add(node, scope.opset, reason)
            results = None
        for number, name in enumerate(node.output):
            if name:
                known = results is not None and number < len(results)
                scope.values[name] = results[number] if known and results is not None else None

    def _results(self, node: onnx.NodeProto, scope: Scope) -> tuple[Held | None, ...] | None:
        """What a node gives; None if it follows from something that could not be read."""
        inputs: list[Held | None] = []
        for name in node.input:
            if name and name not in scope.values:
                raise ForeignError(f"nothing computes its input '{name}'")
            found = scope.values[name] if name else None
            if name and found is None:
                return None
            inputs.append(found)
        reader = self._reader(node)
        if reader is None:
            return self._inlined(node, inputs, scope)
        attributes = {each.name: self._attribute(each, scope) for each in node.attribute}
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
        inputs: Sequence[Held | None],
        scope: Scope,
    ) -> tuple[Held | None, ...]:
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
        values: dict[str, Held | None] = dict(zip(function.input, padded, strict=False))
        version = _opset(function.opset_import) if function.opset_import else scope.opset
        read = read_names(function.node, function.output)
        inner = Scope(values, version, read, said, scope.depth + 1)
        self._within(function.node, inner)
        return tuple(inner.values.get(name) for name in function.output)

    def _body(self, graph: onnx.GraphProto, scope: Scope) -> Body:
        """A graph within a node, which sees the names around it."""

        def body(inputs: Sequence[Held]) -> tuple[Held, ...]:
            if scope.depth >= DEEPEST:
                raise ForeignError(f"graphs stand within each other more than {DEEPEST} deep")
            names = [each.name for each in graph.input]
            if len(names) != len(inputs):
                raise ForeignError(f"its graph takes {len(names)} inputs, not {len(inputs)}")
            values: ChainMap[str, Held | None] = ChainMap({}, scope.values)
            outward = [each.name for each in graph.output]
            read = read_names(graph.node, outward)
            inner = Scope(values, scope.opset, read, scope.attributes, scope.depth + 1)
            self._initializers(graph, inner)
            values.update(zip(names, inputs, strict=True))
            self._within(graph.node, inner)
            results = tuple(values.get(name) for name in outward)
            return tuple(_computed(each, name) for each, name in zip(results, outward, strict=True))

        return body

    def _within(self, nodes: Iterable[onnx.NodeProto], inner: Scope) -> None:
        """Reads the nodes of a function or a graph.

        Raises:
            ForeignError: with the first of what cannot be read.
        """
        before = len(self._problems.found)
        for each in inner.of(nodes):
            self._node(each, inner)
        self._problems.fold(before)

    def _read(self, call: Call, reader: Reader, inputs: Sequence[Held | None]) -> Results:
        given = [each for each in inputs if each is not None]
        flat = [*chain.from_iterable(_flat(each) for each in given)]
        known = [each for each in flat if isinstance(each, Known)]
        constant = bool(given) and len(known) == len(flat)
        if constant and any(each.has_names for each in known):
            found = on_sizes(call)
            if found is not None:
                return found
        made = reader(call)
        if not constant or any(each.path for each in known):
            return made
        return tuple(map(self._folded, made)) if isinstance(made, tuple) else self._folded(made)

    def _folded(self, value: Held) -> Held:
        """The elements of a node that depends on nothing, if they are not too many."""
        if not isinstance(value, Node) or not all(isinstance(s, int) for s in value.type.shape):
            return value
        if any(_is_open(node.op) for node in topological([value])):
            return value
        if int(np.prod(value.type.static_shape)) > SMALL:
            return value
        (array,) = run([value], {}, self._constants)
        return Known(np.asarray(array), value.type.dtype)

    def _reader(self, node: onnx.NodeProto) -> Reader | None:
        """What reads such nodes; None if they are made of others, or unknown."""
        if (node.domain, node.op_type) in self._functions:
            return None
        name = ("" if node.domain in _DOMAINS else node.domain, node.op_type)
        return readers.get(name) or self._operators.get(name)

    def _attribute(self, each: onnx.AttributeProto, scope: Scope) -> object:
        """An attribute as Python has it; a graph as what reads it.

        Raises:
            ForeignError: if it is of a kind that dhc has no use for.
        """
        match each.type:
            case 1:
                return canonical(each.f, DType.F32)
            case 2:
                return int(each.i)
            case 3:
                return each.s.decode("utf-8", "replace")
            case 4:
                array, dtype = array_of(each.t, self._folder)
                return Known(array, dtype)
            case 5:
                return self._body(each.g, scope)
            case 6:
                return tuple(canonical(number, DType.F32) for number in each.floats)
            case 7:
                return tuple(map(int, each.ints))
            case 8:
                return tuple(part.decode("utf-8", "replace") for part in each.strings)
            case 13:
                return each.tp
        raise ForeignError(f"its attribute '{each.name}' is of a kind that dhc cannot read")

    def _keep(self, value: Known) -> Node:
        """A known tensor as a node: a parameter, a constant, or one number."""
        if value.has_names:
            return sizes_node(value)
        type = Tensor(value.dtype, value.array.shape)
        if value.path:
            path = self._paths.path_of(value.path)
            self._parameters[path] = value.array
            return Param(path, type)()
        if value.array.ndim == 0:
            return Literal_(value.array.item(), value.dtype)()
        content = np.ascontiguousarray(value.array)
        self._bytes += content.nbytes
        if self._bytes > MOST_BYTES:
            raise refused("What the model makes of its constants takes too many bytes.")
        digest = hashlib.sha256(f"{type}".encode() + content.tobytes()).hexdigest()
        self._constants[digest] = content
        return Constant(digest, type)()


def _computed(value: Held | None, name: str) -> Held:
    if value is None:
        raise ForeignError(f"nothing computes the output '{name}' of its graph")
    return value


def _is_open(op: Op) -> bool:
    """Whether a value is only known when the model runs."""
    listed = [each if isinstance(each, tuple) else (each,) for each in vars(op).values()]
    sized = any(isinstance(each, Expr) for row in listed for each in row)
    return sized or isinstance(op, Input | Param)


def _flat(held: Held) -> tuple[Value, ...]:
    """The tensors of a value."""
    match held:
        case Tensors(items):
            return items
        case Nothing():
            return ()
    return (held,)


def _of_operators() -> dict[tuple[str, str], Reader]:
    """The operators that read nodes of a name; the first one where there are several."""
    found: dict[tuple[str, str], Reader] = {}
    for operator in operators.values():
        if operator.onnx is not None:
            found.setdefault((operator.onnx.domain, operator.onnx.op_type), operator.from_onnx)
    return found


def _opset(imports: Sequence[onnx.OperatorSetIdProto]) -> int:
    for each in imports:
        if each.domain in _DOMAINS:
            if each.version not in OPSETS:
                text = f"The model uses version {each.version} of ONNX's operators."
                raise refused(text, f"dhc reads versions {OPSETS[0]} to {OPSETS[-1]}")
            return int(each.version)
    raise refused("The model does not say which version of ONNX's operators it uses.")
