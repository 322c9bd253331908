"""Reads a model of ONNX: one node after another, each by what an operator says of itself."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import dhc.ops  # noqa: F401  (every operator registers itself)
from dhc.errors import DhcError
from dhc.ir.counts import count_problems
from dhc.ir.graph import (
    Graph,
    Node,
    Origin,
    Param,
    topological,
)
from dhc.ir.number import canonical
from dhc.ir.types import DType
from dhc.onnx import control, gradient, sequences  # noqa: F401  (they register readers)
from dhc.onnx.file import DEEPEST, array_of, open_model, refused
from dhc.onnx.functions import standard_function, usual_attributes
from dhc.onnx.imported import Given, Imported, NotKnownError, OpenSizeError, Result, held
from dhc.onnx.known import on_sizes
from dhc.onnx.names import Names
from dhc.onnx.narrow import read_in_f32
from dhc.onnx.ports import Ports
from dhc.onnx.schemas import is_same, results_like
from dhc.onnx.scope import Problems, Scope, read_names
from dhc.onnx.store import Store
from dhc.onnx.strings import on_strings
from dhc.onnx.tidy import tidied
from dhc.onnx.tidy.weights import is_made_up
from dhc.onnx.versions import DOMAINS, OPSETS, WHOLE, version_of
from dhc.ops.anchor import anchored
from dhc.ops.base import TypeRuleError, operators
from dhc.ops.foreign import (
    Body,
    Call,
    Finders,
    ForeignError,
    Held,
    Known,
    Nothing,
    Reader,
    Results,
    Strings,
    Tensors,
    Value,
    readers,
)

if TYPE_CHECKING:
    import onnx

MOST_INNER = 100_000  # nodes that loops and functions make
MOST_ROUNDS = 16  # in which a model says what sizes must be
_UNFIT = (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError)


def load(
    path: str | Path,
    given: Mapping[str, Given] | None = None,
    shapes: Mapping[str, int] | None = None,
) -> Imported:
    """Reads a file.

    Args:
        path: The file.
        given: Values of inputs that carry shapes, axes or other settings; these are no inputs any
            more, and everything that follows from them is computed here.
        shapes: Values of sizes that the file leaves open.

    Raises:
        DhcError: with everything in it that cannot be read: node, operator, version and reason.
        NotKnownError: if more of the inputs must be given.
    """
    return read(open_model(Path(path)), Path(path), given, shapes)


def read(
    model: onnx.ModelProto,
    file: Path,
    given: Mapping[str, Given] | None = None,
    shapes: Mapping[str, int] | None = None,
) -> Imported:
    """Reads a model, with other data in the folder of this file; the same as `load` besides."""
    bound = dict(shapes or {})
    for _ in range(MOST_ROUNDS):
        try:
            return _Reader(model, file, Ports(bound)).read(given or {})
        except OpenSizeError as error:
            bound |= error.sizes
        except (ForeignError, *_UNFIT) as error:  # such as names that are no text
            raise refused(f"'{file}' is damaged: {error}.") from error
    raise refused(f"'{file}' says more than {MOST_ROUNDS} times what an open size must be.")


class _Reader:
    """Keeps what is known of a model while its nodes are read in their order."""

    def __init__(self, model: onnx.ModelProto, file: Path, ports: Ports) -> None:
        self._model = model
        self._folder = file.parent
        self._name = Names().of(model.graph.name or file.stem)
        self._ports = ports
        self._outputs = Names()
        self._store = Store()
        self._operators = _of_operators()
        self._functions = {(each.domain, each.name): each for each in model.functions}
        self._origins: dict[Node, tuple[Origin, ...]] = {}
        self._problems = Problems()
        self._finders = Finders(ports.sizes.of)
        self._made: list[tuple[str, Node]] = []
        self._count = 0

    def read(self, given: Mapping[str, Given]) -> Imported:
        graph = self._model.graph
        outward = [each.name for each in graph.output]
        version = version_of(self._model.opset_import, graph.node, OPSETS[-1])
        scope = Scope({}, version, read_names(graph.node, outward))
        self._initializers(graph, scope)
        if missing := sorted(given.keys() - {each.name for each in graph.input}):
            raise refused(f"The model has no input '{missing[0]}', whose value is given.")
        for each in graph.input:
            if each.name in given:
                scope.values[each.name] = held(given[each.name], each)
            elif each.name not in scope.values:
                scope.values[each.name] = self._ports.input(each)
        self._ports.check()
        for node in graph.node:
            self._node(node, scope)
        if self._problems.found:
            raise self._unread()
        outputs = {name: self._output(name, scope.values.get(name)) for name in outward}
        made = Graph(
            self._name, tuple(self._ports.names), tuple(self._made), origins=self._origins,
            constants=self._store.constants,
        )  # fmt: skip
        made = self._anchored(made)
        nodes = list(topological(made.roots))
        if any(0 in node.type.shape for node in nodes):
            raise refused("The model computes with tensors that have no elements.")
        tidy, values = tidied(made, self._store.parameters)
        used = {node.op.path for node in topological(tidy.roots) if isinstance(node.op, Param)}
        kept = {path: array for path, array in values.items() if path in used}
        return Imported(tidy, kept, tuple(self._ports.names.values()), outputs)

    def _anchored(self, made: Graph) -> Graph:
        """The graph in which sizes that are found depend on what finds them.

        Raises:
            DhcError: if there is one of which that cannot be said.
        """
        try:
            found = anchored(made, self._finders.nodes)
        except TypeRuleError as error:
            raise refused(str(error)) from error
        for problem in count_problems(found):
            raise refused(problem)
        return found

    def _unread(self) -> DhcError:
        """The error with all problems, and with what would have to be known of the inputs."""
        sources = topological(frozenset().union(*self._problems.unknown))
        asked = self._ports.names
        needed = {asked[node] for node in sources if node in asked}
        found = self._problems.found
        if self._ports.open:
            hint = f"sizes may have to be bound: {', '.join(self._ports.open)}"
            found[-1] = replace(found[-1], hints=(hint,))
        if sizes := {name: size for each in self._problems.sizes for name, size in each.items()}:
            return OpenSizeError(found, sizes)
        return NotKnownError(found, needed) if needed else DhcError(found)

    def _initializers(self, graph: onnx.GraphProto, scope: Scope) -> None:
        for tensor in graph.initializer:
            array, dtype = array_of(tensor, self._folder)
            is_weight = dtype.is_float and (not dtype.is_narrow or dtype is DType.BF16)
            path = tensor.name if is_weight and array.ndim else ""
            scope.values[tensor.name] = Known(array, dtype, path)

    # ---- outputs ---------------------------------------------------------------------------------

    def _output(self, name: str, value: Held | None) -> Result:
        match value:
            case None:
                raise refused(f"Nothing computes the output '{name}'.")
            case Nothing():
                return None
            case Tensors(items):
                return [self._output(f"{name}_{k}", item) for k, item in enumerate(items)]
            case Strings(array):
                return array
            case Known(array) if array.size == 0:
                return array
        node = self._store.keep(value) if isinstance(value, Known) else value
        label = self._outputs.of(name)
        self._made.append((label, node))
        return label

    # ---- nodes -------------------------------------------------------------------------------

    def _node(self, node: onnx.NodeProto, scope: Scope) -> None:
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
        text = any(isinstance(each, Strings) for each in inputs)
        reader = on_strings if text else self._reader(node)
        if scope.opset < WHOLE and not is_same(node, scope.opset, WHOLE):
            raise ForeignError(f"it has changed until version {WHOLE}, the oldest that dhc knows")
        if reader is None:
            return self._inlined(node, inputs, scope)
        results = read_in_f32(
            lambda given: self._read_node(node, reader, given, scope),
            inputs,
            lambda narrow: results_like(node, scope.opset, narrow),
        )
        for value in results:
            if isinstance(value, Node) and value.inputs:
                self._origins.setdefault(value, (Origin(None, node.name or node.output[0]),))
        return results

    def _read_node(
        self,
        node: onnx.NodeProto,
        reader: Reader,
        inputs: Sequence[Held | None],
        scope: Scope,
    ) -> tuple[Held, ...]:
        attributes = {each.name: self._attribute(each, scope) for each in node.attribute}
        if len(attributes) < len(node.attribute):
            raise ForeignError("it has an attribute twice")
        wanted = [name in scope.read for name in node.output]
        if all(each is None or (isinstance(each, Known) and not each.path) for each in inputs):
            inputs = [_nameless(each) for each in inputs]  # what follows from constants is one
        call = Call(
            node.op_type,
            scope.opset,
            inputs,
            attributes,
            wanted,
            self._store.keep,
            self._finders,
            scope.values,
        )
        made = self._read(call, reader, inputs)
        if node.op_type == "Constant" and not scope.depth:
            made = _as_weights(made, node.output[0])
        if call.unasked:
            raise ForeignError(f"it has the attribute '{call.unasked[0]}', which dhc does not know")
        return made if isinstance(made, tuple) else (made,)

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
        called = (node.domain, node.op_type)
        if called in scope.within:
            raise ForeignError("the function calls itself")
        own = self._functions.get(called)
        function = own or standard_function(node, scope.opset, inputs)
        if function is None:
            domain = f" of '{node.domain}'" if node.domain not in DOMAINS else ""
            raise ForeignError(f"dhc has no operator '{node.op_type}'{domain}")
        if scope.depth >= DEEPEST:
            raise ForeignError(f"functions call each other more than {DEEPEST} deep")
        said = usual_attributes(node, scope.opset) | {
            each.name: each for each in (*function.attribute_proto, *node.attribute)
        }
        padded = [*inputs, *[None] * (len(function.input) - len(inputs))]
        values: dict[str, Held | None] = dict(zip(function.input, padded, strict=False))
        imports = function.opset_import
        version = version_of(imports, function.node if own and imports else (), scope.opset)
        read = read_names(function.node, function.output)
        inner = Scope(values, version, read, said, scope.depth + 1, scope.within | {called})
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
            around = (scope.attributes, scope.depth + 1, scope.within)
            inner = Scope(values, scope.opset, read, *around)
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
            self._count += 1
            if self._count > MOST_INNER:
                raise refused(f"Loops and functions make more than {MOST_INNER} nodes of it.")
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
        folded = self._store.folded
        return tuple(map(folded, made)) if isinstance(made, tuple) else folded(made)

    def _reader(self, node: onnx.NodeProto) -> Reader | None:
        """What reads such nodes; None if they are made of others, or unknown."""
        if (node.domain, node.op_type) in self._functions:
            return None
        name = ("" if node.domain in DOMAINS else node.domain, node.op_type)
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


def _computed(value: Held | None, name: str) -> Held:
    if value is None:
        raise ForeignError(f"nothing computes the output '{name}' of its graph")
    return value


def _as_weights(made: Results, name: str) -> Results:
    """A constant that has the name of a tensor of weights as one: some exporters write them so."""
    if not isinstance(made, Known) or made.array.ndim == 0 or is_made_up(name):
        return made
    return replace(made, name=name) if made.dtype.is_float else made


def _nameless(value: Held | None) -> Held | None:
    return replace(value, name="") if isinstance(value, Known) else value


def _flat(held: Held) -> tuple[Value, ...]:
    """The tensors of a value."""
    match held:
        case Tensors(items):
            return items
        case Nothing() | Strings():
            return ()
    return (held,)


def _of_operators() -> dict[tuple[str, str], Reader]:
    """The operators that read nodes of a name; the first one where there are several."""
    found: dict[tuple[str, str], Reader] = {}
    for operator in operators.values():
        if operator.onnx is not None:
            found.setdefault((operator.onnx.domain, operator.onnx.op_type), operator.from_onnx)
    return found
