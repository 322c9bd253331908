"""Recurrent layers: loops over time with weights, equations and order of gates as in PyTorch.

The product of all inputs with the weights is one matrix product before the loop. Weights are
`input.weight` [gates * units, features], `hidden.weight` [gates * units, units] and a bias for
each; the names of those of the other direction begin with `backward.`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dhc.ir.graph import Initializer, Node, literal
from dhc.ir.size import Shape, unify
from dhc.ir.types import DType
from dhc.ops.activation import Relu, Sigmoid, Tanh
from dhc.ops.base import LayerContext, TypeRuleError, layer
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Mul, Sub
from dhc.ops.linear import Dense
from dhc.ops.movement import Expand, slice_axis
from dhc.ops.over_time import States, over_time
from dhc.ops.shape import Permute, Reshape, joined

Give = Literal["sequence", "last", "state", "all"]
Step = Callable[[Node, Node, States], States]
"""Takes the projected input and the projected hidden state [N, gates * units], and the states
[N, units]; returns the next states, the first of which is the output."""


@dataclass(frozen=True)
class Cell:
    """What one kind of recurrent layer does in a step.

    Attributes:
        name: What the language calls the layer.
        gates: How many projections of the input it has.
        states: How many values it carries.
        step: Its equations.
    """

    name: str
    gates: int
    states: int
    step: Step


# ---- equations -------------------------------------------------------------------------------


def _gates(projected: Node, count: int) -> list[Node]:
    size = int_size(projected.type.shape[1]) // count
    return [slice_axis(projected, 1, k * size, (k + 1) * size) for k in range(count)]


def _rnn_step(seen: Node, said: Node, states: States) -> States:
    return (Tanh()(Add()(seen, said)),)


def _rnn_relu_step(seen: Node, said: Node, states: States) -> States:
    return (Relu()(Add()(seen, said)),)


def _lstm_step(seen: Node, said: Node, states: States) -> States:
    """Gates: input, forget, candidate, output."""
    i, f, g, o = _gates(Add()(seen, said), 4)
    kept = Mul()(Sigmoid()(f), states[1])
    c = Add()(kept, Mul()(Sigmoid()(i), Tanh()(g)))
    return Mul()(Sigmoid()(o), Tanh()(c)), c


def _gru_step(seen: Node, said: Node, states: States) -> States:
    """Gates: reset, update, candidate; the reset gate works on the projected hidden state."""
    (h,) = states
    (seen_r, seen_z, seen_n), (said_r, said_z, said_n) = _gates(seen, 3), _gates(said, 3)
    r, z = Sigmoid()(Add()(seen_r, said_r)), Sigmoid()(Add()(seen_z, said_z))
    n = Tanh()(Add()(seen_n, Mul()(r, said_n)))
    return (Add()(n, Mul()(z, Sub()(h, n))),)


RNN = Cell("rnn", 1, 1, _rnn_step)
RNN_RELU = Cell("rnn", 1, 1, _rnn_relu_step)
LSTM = Cell("lstm", 4, 2, _lstm_step)
GRU = Cell("gru", 3, 1, _gru_step)


# ---- weights ---------------------------------------------------------------------------------


def _projection(
    context: LayerContext, name: str, x: Node, cell: Cell, units: int, bias: bool
) -> Node:
    """X [rows, features] times the weights of all gates; they start within 1 / sqrt(units)."""
    start = Initializer("glorot_uniform", fan_in=3 * units, fan_out=3 * units)
    rows = cell.gates * units
    weight = context.param(f"{name}.weight", (rows, int_size(x.type.shape[-1])), start)
    return Dense()(x, weight, *([context.param(f"{name}.bias", (rows,), start)] if bias else []))


def _cell(context: LayerContext, cell: Cell, x: Node, states: States, bias: bool) -> States:
    """One step with weights of its own; x is [N, features], a state [N, units]."""
    if any(node.type.rank != 2 for node in (x, *states)):
        raise TypeRuleError(f"'{cell.name}_cell' takes one step [N, features], not {x.type}.", 0)
    units = int_size(states[0].type.shape[1])
    seen = _projection(context, "input", x, cell, units, bias)
    said = _projection(context, "hidden", states[0], cell, units, bias)
    return cell.step(seen, said, states)


# ---- loops -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """One direction of a layer.

    Attributes:
        prefix: What the names of its weights begin with.
        starts: The states before the first step.
        lengths: How many steps of each sample are real; None means all.
    """

    cell: Cell
    units: int
    prefix: str
    starts: States
    lengths: Node | None
    reverse: bool
    bias: bool

    def __call__(self, context: LayerContext, x: Node) -> tuple[Node, States]:
        """Returns the outputs [T, N, units] for x [T, N, features], and the last states."""
        steps, batch, size = x.type.shape
        rows = Reshape((steps * batch, size))(x)
        all_seen = _projection(
            context, f"{self.prefix}input", rows, self.cell, self.units, self.bias
        )
        sequence = Reshape((steps, batch, self.cell.gates * self.units))(all_seen)

        def advance(seen: Node, states: States) -> States:
            said = _projection(
                context, f"{self.prefix}hidden", states[0], self.cell, self.units, self.bias
            )
            return self.cell.step(seen, said, states)

        return over_time(sequence, self.starts, self.lengths, self.reverse, advance)


@dataclass(frozen=True)
class _Options:
    """What recurrent layers have in common."""

    units: int
    lengths: Node | None
    bidirectional: bool
    reverse: bool
    give: Give
    bias: bool
    time_first: bool = False


def _turned(x: Node) -> Node:
    """Sequences [N, T, ...] with time first, or the other way round."""
    return Permute((1, 0, 2))(x)


def _layer(
    context: LayerContext, cell: Cell, x: Node, given: Sequence[Node | None], options: _Options
) -> Node | tuple[Node, ...]:
    _check(cell, x, options)
    x = x if options.time_first else _turned(x)
    directions = (False, True) if options.bidirectional else (options.reverse,)
    outputs: list[Node] = []
    lasts: list[States] = []
    for number, reverse in enumerate(directions):
        starts = tuple(_start(cell, x, each, number, len(directions), options) for each in given)
        run = _Run(
            cell, options.units, "backward." if number else "", starts, options.lengths, reverse,
            options.bias,
        )  # fmt: skip
        output, last = run(context, x)
        outputs.append(output if options.time_first else _turned(output))
        lasts.append(last)
    states = tuple(joined(parts, 1) for parts in zip(*lasts, strict=True))
    match options.give:
        case "sequence":
            return joined(outputs, 2)
        case "all":
            return joined(outputs, 2), *states
    return states if options.give == "state" and len(states) > 1 else states[0]


def _check(cell: Cell, x: Node, options: _Options) -> None:
    if x.type.rank != 3 or not x.type.dtype.is_float:
        raise TypeRuleError(f"'{cell.name}' takes sequences [N, T, features], not {x.type}.", 0)
    if options.units < 1:
        raise TypeRuleError(f"'{cell.name}' needs units, not {options.units}.")
    if options.bidirectional and options.reverse:
        raise TypeRuleError(f"'{cell.name}' goes both ways already; leave 'reverse' out.")
    lengths, batch = options.lengths, x.type.shape[1 if options.time_first else 0]
    if lengths is not None and (
        lengths.type.rank != 1 or unify(lengths.type.shape[0], batch) is None
    ):
        raise TypeRuleError(f"'{cell.name}' needs a length for each sample, not {lengths.type}.")


def _start(
    cell: Cell, x: Node, given: Node | None, number: int, directions: int, options: _Options
) -> Node:
    """The start of one direction for x [T, N, features]: zeros, or its part of what is given."""
    units, batch = options.units, x.type.shape[1]
    if given is None:
        return Expand((batch, units))(literal(0.0, x.type.dtype))
    wanted = x.type.with_shape((batch, directions * units))
    if given.type != wanted:
        raise TypeRuleError(f"'{cell.name}' needs the start {wanted}, not {given.type}.")
    if directions == 1:
        return given
    return slice_axis(given, 1, number * units, (number + 1) * units)


# ---- layers ----------------------------------------------------------------------------------


@layer("rnn")
def rnn(
    context: LayerContext,
    x: Node,
    units: int,
    lengths: Node | None = None,
    bidirectional: bool = False,
    reverse: bool = False,
    give: Give = "sequence",
    h: Node | None = None,
    activation: Literal["tanh", "relu"] = "tanh",
    bias: bool = True,
    time_first: bool = False,
) -> Node | tuple[Node, ...]:
    """H' = tanh(W x + b + V h + d), over sequences [N, T, features].

    `lengths` [N] says how many steps of each sample are real: what follows has zeros as output, and
    changes no state. `bidirectional` joins the outputs of both directions, each [N, T, units].
    `give=last` gives the state after the last real step instead of all outputs, `give=all` both.
    `h` is the start. With `time_first` sequences and outputs are [T, N, ...].
    """
    options = _Options(units, lengths, bidirectional, reverse, give, bias, time_first)
    return _layer(context, RNN if activation == "tanh" else RNN_RELU, x, (h,), options)


@layer("lstm")
def lstm(
    context: LayerContext,
    x: Node,
    units: int,
    lengths: Node | None = None,
    bidirectional: bool = False,
    reverse: bool = False,
    give: Give = "sequence",
    h: Node | None = None,
    c: Node | None = None,
    bias: bool = True,
    time_first: bool = False,
) -> Node | tuple[Node, ...]:
    """Long short-term memory (Hochreiter 1997, with the forget gate of Gers 2000).

    The options are those of `rnn`; `give=state` gives both states, h and c, `give=all` all three.
    """
    options = _Options(units, lengths, bidirectional, reverse, give, bias, time_first)
    return _layer(context, LSTM, x, (h, c), options)


@layer("gru")
def gru(
    context: LayerContext,
    x: Node,
    units: int,
    lengths: Node | None = None,
    bidirectional: bool = False,
    reverse: bool = False,
    give: Give = "sequence",
    h: Node | None = None,
    bias: bool = True,
    time_first: bool = False,
) -> Node | tuple[Node, ...]:
    """Gated recurrent units (arXiv:1406.1078); the options are those of `rnn`."""
    options = _Options(units, lengths, bidirectional, reverse, give, bias, time_first)
    return _layer(context, GRU, x, (h,), options)


@layer("rnn_cell")
def rnn_cell(
    context: LayerContext,
    x: Node,
    h: Node,
    activation: Literal["tanh", "relu"] = "tanh",
    bias: bool = True,
) -> Node:
    """One step of `rnn`: x [N, features] and h [N, units] give the next h."""
    return _cell(context, RNN if activation == "tanh" else RNN_RELU, x, (h,), bias)[0]


@layer("lstm_cell")
def lstm_cell(
    context: LayerContext, x: Node, h: Node, c: Node, bias: bool = True
) -> tuple[Node, ...]:
    """One step of `lstm`: x [N, features] and the states [N, units] give the next h and c."""
    return _cell(context, LSTM, x, (h, c), bias)


@layer("gru_cell")
def gru_cell(context: LayerContext, x: Node, h: Node, bias: bool = True) -> Node:
    """One step of `gru`: x [N, features] and h [N, units] give the next h."""
    return _cell(context, GRU, x, (h,), bias)[0]


LAYERS: Mapping[str, Callable[..., Node | tuple[Node, ...]]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
}


@dataclass(frozen=True)
class GivenWeights:
    """What a recurrent layer is built with where its weights are there already.

    Attributes:
        weights: By their names in the layer.
    """

    weights: Mapping[str, Node]

    def param(
        self,
        name: str,
        shape: Shape,
        initializer: Initializer,
        trainable: bool = True,
        dtype: DType = DType.F32,
    ) -> Node:
        """The weights of a name."""
        return self.weights[name]

    def stream(self) -> str:
        raise AssertionError("recurrent layers draw nothing")
