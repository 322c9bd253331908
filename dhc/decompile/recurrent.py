"""Loops that are recurrent layers: the layer is built again on what a loop reads, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dhc.ir.graph import Constant, Graph, Literal_, Node, Param, topological
from dhc.ops.linear import Dense
from dhc.ops.movement import Expand, Slice
from dhc.ops.phrase import Phrase
from dhc.ops.recurrent import LAYERS, GivenWeights
from dhc.ops.scan import Scan
from dhc.ops.sequence import SequenceMask
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.passes.canonicalize import Canonicalize

_TURN = Permute((1, 0, 2))
_KINDS = {(4, 2): "lstm", (3, 1): "gru", (1, 1): "rnn"}  # by gates and states


@dataclass(frozen=True)
class Layered:
    """A call of a recurrent layer.

    Attributes:
        phrase: The call without `give`.
        results: Its outputs, then its states.
    """

    phrase: Phrase
    results: tuple[Node, ...]

    def giving(self, wanted: set[Node]) -> tuple[Phrase, tuple[Node, ...]]:
        """The call that gives what is wanted, and what that is."""
        output, *states = self.results
        results = self.results
        match [output in wanted, *(state in wanted for state in states)]:
            case [True, *rest] if not any(rest):
                give, results = "sequence", (output,)
            case [False, True, *rest] if not any(rest):
                give, results = "last", (states[0],)
            case [False, *_] if len(states) > 1:
                give, results = "state", tuple(states)
            case _:
                give = "all"
        said = dict(self.phrase.attributes)
        if give != "sequence":
            said["give"] = give
        phrase = self.phrase
        return Phrase(phrase.callee, phrase.inputs, said, phrase.weights), results


def layer_of(node: Node) -> Layered | None:
    """Returns the layer whose output or state a node is, if it is one."""
    for loops in _loops(node):
        for guess in _guesses(loops):
            results = guess.build()
            if node in results:
                return Layered(guess.phrase(), results)
    return None


def _loops(node: Node) -> Iterator[tuple[Node, ...]]:
    """The loops in both directions, or in one, that a node may be the result of."""
    parts = node.inputs if isinstance(node.op, Concat) and len(node.inputs) == 2 else (node,)
    found = tuple(each.inputs[0] if each.op == _TURN else each for each in parts)
    if all(isinstance(each.op, Scan) for each in found):
        yield found


@dataclass(frozen=True)
class _Direction:
    """What a loop reads: rows [T * N, features], weights by name, starts and lengths."""

    rows: Node
    sizes: tuple[object, ...]
    weights: Mapping[str, Node]
    starts: tuple[Node, ...]
    lengths: Node | None
    scan: Scan


@dataclass(frozen=True)
class _Guess:
    """A layer that may be meant; the attributes are its arguments."""

    kind: str
    x: Node
    said: Mapping[str, object]
    weights: Mapping[str, Node]

    def build(self) -> tuple[Node, ...]:
        """Its results, in the form in which they stand in a graph."""
        made = LAYERS[self.kind](GivenWeights(self.weights), self.x, **self.said, give="all")
        roots = made if isinstance(made, tuple) else (made,)
        outputs = tuple((str(k), root) for k, root in enumerate(roots))
        return Canonicalize()(Graph("layer", (), outputs)).roots

    def phrase(self) -> Phrase:
        usual = {"bias": True, "activation": "tanh"}
        said = {
            name: value
            for name, value in self.said.items()
            if value is not None and value != usual.get(name, False)
        }
        stem = _stem(self.weights)
        return Phrase(self.kind, (self.x,), said | ({"name": stem} if stem else {}), self.weights)


def _guesses(loops: Sequence[Node]) -> Iterator[_Guess]:
    """Layers with the weights, starts and lengths that loops read."""
    directions = [_direction(loop, "backward." * k) for k, loop in enumerate(loops)]
    first = directions[0]
    if first is None or any(each is None or each.rows is not first.rows for each in directions):
        return
    weights = {n: w for each in directions if each is not None for n, w in each.weights.items()}
    units, gates = _sizes(first)
    kind = _KINDS.get((gates, len(first.starts)))
    if kind is None:
        return
    starts = _starts([each.starts for each in directions if each is not None], units)
    said = {
        "units": units, "lengths": first.lengths, "bidirectional": len(loops) > 1,
        "reverse": len(loops) == 1 and first.scan.reverse, "bias": "input.bias" in weights,
        **dict(zip("hc", starts, strict=False)),
    }  # fmt: skip
    words = [{"activation": word} for word in ("tanh", "relu")] if kind == "rnn" else [{}]
    for x, time_first in _sources(first):
        for word in words:
            yield _Guess(kind, x, {**said, **word, "time_first": time_first}, weights)


def _sizes(direction: _Direction) -> tuple[int, int]:
    """The units of a loop, and how many gates it has."""
    rows, units = direction.weights["hidden.weight"].type.static_shape
    return units, rows // units


def _sources(direction: _Direction) -> Iterator[tuple[Node, bool]]:
    """What may be the sequences, and whether their first axis is time."""
    source = direction.rows.inputs[0] if isinstance(direction.rows.op, Reshape) else direction.rows
    steps, batch = direction.sizes
    shape = (steps, batch, direction.rows.type.shape[1])
    x = source if source.type.shape == shape else Reshape(shape)(source)  # type: ignore[arg-type]
    if x.op == _TURN:
        yield x.inputs[0], False
    yield x, True


def _direction(loop: Node, prefix: str) -> _Direction | None:
    """What a loop reads, if it may be one of a layer."""
    scan = loop.op
    if not isinstance(scan, Scan) or scan.carried not in (1, 2) or scan.sequences not in (1, 2):
        return None
    sequence, bound = loop.inputs[0], scan.sequences + scan.carried
    seen = sequence.inputs[0] if isinstance(sequence.op, Reshape) else None
    said = _said(scan)
    if seen is None or not isinstance(seen.op, Dense) or said is None or sequence.type.rank != 3:
        return None
    captured = dict(zip(scan.body.inputs, loop.inputs, strict=True))
    of_input, of_hidden = seen.inputs[1:], tuple(captured.get(w, w) for w in said.inputs[1:])
    weights = {
        f"{prefix}{name}.{part}": node
        for name, nodes in (("input", of_input), ("hidden", of_hidden))
        for part, node in zip(("weight", "bias"), nodes, strict=False)
    }
    if len(of_input) != len(of_hidden) or not all(
        isinstance(w.op, Param | Constant) for w in weights.values()
    ):
        return None
    lengths = _lengths(loop.inputs[1]) if scan.sequences > 1 else None
    starts = loop.inputs[scan.sequences : bound]
    sizes = sequence.type.shape[:2]
    return _Direction(seen.inputs[0], sizes, weights, starts, lengths, scan)


def _said(scan: Scan) -> Node | None:
    """The product of the carried output with its weights, in the body of a loop."""
    carried = scan.body.inputs[scan.sequences]
    found = [
        node
        for node in topological(scan.body.roots)
        if isinstance(node.op, Dense) and node.inputs[0] is carried
    ]
    return found[0] if len(found) == 1 else None


def _lengths(mask: Node) -> Node | None:
    """How long sequences are, of a mask [T, N, 1]."""
    node = mask
    while isinstance(node.op, Reshape | Permute):
        node = node.inputs[0]
    return node.inputs[0] if isinstance(node.op, SequenceMask) else None


def _starts(directions: Sequence[tuple[Node, ...]], units: int) -> list[Node | None]:
    """The starts of a layer: those of its only direction, or what both are parts of."""
    found: list[Node | None] = []
    for parts in zip(*directions, strict=True):
        first = parts[0]
        if isinstance(first.op, Expand) and isinstance(first.inputs[0].op, Literal_):
            found.append(None)
        elif len(parts) == 1:
            found.append(first)
        else:
            found.append(first.inputs[0] if isinstance(first.op, Slice) else None)
    return found


def _stem(weights: Mapping[str, Node]) -> str:
    """The path that all weights begin with, before their names in the layer."""
    stems = set()
    for name, node in weights.items():
        path = node.op.path if isinstance(node.op, Param) else ""
        stems.add(path[: -len(name) - 1] if path.endswith(f".{name}") else "")
    return stems.pop() if len(stems) == 1 else ""
