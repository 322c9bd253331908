"""Recurrent layers as ONNX has them: its own order of gates, peepholes, limits and activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dhc.ir.graph import Node, literal
from dhc.ops.activation import (
    Elu,
    HardSigmoid,
    LeakyRelu,
    Linear,
    Relu,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu,
)
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Clip, Mul, Sub
from dhc.ops.foreign import MICROSOFT, Call, ForeignError, Results, reads, require_size
from dhc.ops.linear import Dense
from dhc.ops.movement import Expand, slice_axis
from dhc.ops.over_time import States, over_time
from dhc.ops.quantize import dequantized, through_bytes
from dhc.ops.recurrent_layer import REVERSE, standard_layer
from dhc.ops.shape import Permute, Reshape, joined

Activation = Callable[[Node], Node]

# ---- activations -----------------------------------------------------------------------------


def _affine(alpha: float, beta: float) -> Activation:
    return lambda x: Add()(Linear(alpha)(x), literal(beta, x.type.dtype))


def _scaled_tanh(alpha: float, beta: float) -> Activation:
    return lambda x: Linear(alpha)(Tanh()(Linear(beta)(x)))


_PLAIN: Mapping[str, Activation] = {
    "relu": Relu(), "tanh": Tanh(), "sigmoid": Sigmoid(), "softsign": Softsign(),
    "softplus": Softplus(),
}  # fmt: skip
_WITH_ALPHA: Mapping[str, tuple[Callable[[float], Activation], float]] = {
    "leakyrelu": (LeakyRelu, 0.01),
    "thresholdedrelu": (ThresholdedRelu, 1.0),
    "elu": (Elu, 1.0),
}
_WITH_BOTH: Mapping[str, tuple[Callable[[float, float], Activation], float, float]] = {
    "affine": (_affine, 1.0, 0.0),
    "scaledtanh": (_scaled_tanh, 1.0, 1.0),
    "hardsigmoid": (HardSigmoid, 0.2, 0.5),
}


def _activations(call: Call, usual: Sequence[str], directions: int) -> list[list[Activation]]:
    """The activations of each direction; they take their numbers in their order."""
    names = call.get("activations", tuple(usual) * directions)
    if len(names) != len(usual) * directions:
        raise ForeignError(f"it has {len(names)} activations, not {len(usual) * directions}")
    alphas = iter(call.get("activation_alpha", ()))
    betas = iter(call.get("activation_beta", ()))
    made = [_activation(str(name), alphas, betas) for name in names]
    return [made[k : k + len(usual)] for k in range(0, len(made), len(usual))]


def _activation(name: str, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    key = name.lower()
    if key in _PLAIN:
        return _PLAIN[key]
    if key in _WITH_ALPHA:
        simple, alpha = _WITH_ALPHA[key]
        return simple(next(alphas, alpha))
    if key in _WITH_BOTH:
        double, alpha, beta = _WITH_BOTH[key]
        return double(next(alphas, alpha), next(betas, beta))
    raise ForeignError(f"its activation '{name}' is unknown")


# ---- equations -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Direction:
    """The weights of one direction, and what its equations say besides.

    Attributes:
        units: The size of a state.
        into: Of the inputs [gates * units, features].
        back: Of the state [gates * units, units].
        biases: Of both [gates * units], or none.
        peepholes: What the gates see of the cell [3 * units], or nothing.
        activations: In the order in which ONNX lists them.
        clip: The largest absolute value that an activation gets.
        choice: GRU: whether the reset gate works on the projected state; LSTM: whether the forget
            gate is one minus the input gate.
        kept: How the factors of weights are kept: as they are, or in fewer bits.
    """

    units: int
    into: Node
    back: Node
    biases: tuple[Node, ...]
    peepholes: Node | None
    activations: Sequence[Activation]
    clip: float
    choice: bool
    kept: Activation

    def seen(self, rows: Node) -> Node:
        """What all gates get of inputs [rows, features]."""
        return Dense()(self.kept(rows), self.into, *self.biases[:1])

    def said(self, state: Node, first: int, stop: int) -> Node:
        """What gates get of a state [N, units]."""
        rows = (_part(each, first, stop, self.units) for each in (self.back, *self.biases[1:]))
        return Dense()(self.kept(state), *rows)

    def activate(self, number: int, x: Node) -> Node:
        """An activation of what is not too large."""
        return self.activations[number](Clip(-self.clip, self.clip)(x) if self.clip else x)

    def peeped(self, gate: Node, cell: Node, number: int) -> Node:
        """A gate that also sees the cell."""
        if self.peepholes is None:
            return gate
        return Add()(gate, Mul()(_part(self.peepholes, number, number + 1, self.units), cell))


def _part(values: Node, first: int, stop: int, size: int) -> Node:
    """The rows of some gates."""
    whole = int_size(values.type.shape[0])
    if (first * size, stop * size) == (0, whole):
        return values
    return slice_axis(values, 0, first * size, stop * size)


def _columns(projected: Node, units: int) -> list[Node]:
    count = int_size(projected.type.shape[1]) // units
    return [slice_axis(projected, 1, k * units, (k + 1) * units) for k in range(count)]


def _rnn(layer: _Direction, seen: Node, states: States) -> States:
    return (layer.activate(0, Add()(seen, layer.said(states[0], 0, 1))),)


def _gru(layer: _Direction, seen: Node, states: States) -> States:
    """Gates: update, reset, candidate."""
    (h,) = states
    seen_z, seen_r, seen_n = _columns(seen, layer.units)
    said_z, said_r = _columns(layer.said(h, 0, 2), layer.units)
    z, r = layer.activate(0, Add()(seen_z, said_z)), layer.activate(0, Add()(seen_r, said_r))
    said_n = Mul()(r, layer.said(h, 2, 3)) if layer.choice else layer.said(Mul()(r, h), 2, 3)
    n = layer.activate(1, Add()(seen_n, said_n))
    return (Add()(n, Mul()(z, Sub()(h, n))),)


def _lstm(layer: _Direction, seen: Node, states: States) -> States:
    """Gates: input, output, forget, candidate; peepholes: input, output, forget."""
    h, c = states
    i, o, f, g = _columns(Add()(seen, layer.said(h, 0, 4)), layer.units)
    i = layer.activate(0, layer.peeped(i, c, 0))
    if layer.choice:
        f = Sub()(literal(1.0, i.type.dtype), i)
    else:
        f = layer.activate(0, layer.peeped(f, c, 2))
    c = Add()(Mul()(f, c), Mul()(i, layer.activate(1, g)))
    o = layer.activate(0, layer.peeped(o, c, 1))
    return Mul()(o, layer.activations[2](c)), c


# ---- nodes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kind:
    """What the kinds of layers differ in: their equations, and what ONNX writes of them."""

    gates: int
    states: int
    activations: tuple[str, ...]
    choice: str
    step: Callable[[_Direction, Node, States], States]


_KINDS: Mapping[str, _Kind] = {
    "RNN": _Kind(1, 1, ("tanh",), "", _rnn),
    "GRU": _Kind(3, 1, ("sigmoid", "tanh"), "linear_before_reset", _gru),
    "LSTM": _Kind(4, 2, ("sigmoid", "tanh", "tanh"), "input_forget", _lstm),
}


@reads(*_KINDS)
def _read(call: Call) -> Results:
    """All outputs: every state, the last one, and the last cell of an LSTM."""
    standard = standard_layer(call)
    if standard is not None:
        return standard
    return _layers(call, _KINDS[call.op_type], call.tensor(1), call.tensor(2), lambda x: x)


@reads("DynamicQuantizeLSTM", domain=MICROSOFT)
def _read_bytes(call: Call) -> Results:
    """An LSTM with integers [directions, from, to] as weights; what they multiply becomes bytes.

    The range of bytes is that of all samples. That is what onnxruntime does on one thread; on
    several, each takes the range of its own samples.
    """
    into, back = (_numbers(call, number, 6 + 2 * number) for number in (1, 2))
    return _layers(call, _KINDS["LSTM"], into, back, through_bytes)


def _numbers(call: Call, number: int, scale: int) -> Node:
    """The weights of all gates, which have a scale for each direction, or for each column too."""
    x = call.tensor(number)
    zero = _beside(call.tensor(scale + 1), x) if call.has(scale + 1) else None
    return Permute((0, 2, 1))(dequantized(x, _beside(call.tensor(scale), x), zero))


def _beside(values: Node, x: Node) -> Node:
    shape = values.type.shape
    if shape not in (x.type.shape[:1], (x.type.shape[0], x.type.shape[2])):
        raise ForeignError(f"a scale or zero point of {x.type} is {values.type}")
    return Reshape((shape[0], 1, *(shape[1:] or (1,))))(values)


def _layers(call: Call, kind: _Kind, into: Node, back: Node, kept: Activation) -> Results:
    call.get("output_sequence", 0)  # before version 7: whether the first output is there
    reverse = REVERSE.get(call.get("direction", "forward"))
    if reverse is None:
        raise ForeignError("its direction is neither forward, reverse nor bidirectional")
    if into.type.shape[0] != len(reverse):
        raise ForeignError(f"its weights have {into.type.shape[0]} directions, not {len(reverse)}")
    by_batch = bool(call.get("layout", 0))
    x = Permute((1, 0, 2))(call.tensor(0)) if by_batch else call.tensor(0)
    layers = _directions(call, kind, into, back, kept)
    lengths = call.tensor(4) if call.has(4) else None
    outputs: list[Node] = []
    lasts: list[States] = []
    for number, (layer, backward) in enumerate(zip(layers, reverse, strict=True)):
        starts = tuple(_start(call, 5 + k, number, x, layer, by_batch) for k in range(kind.states))
        output, last = _run(kind, layer, x, starts, lengths, backward)
        outputs.append(output)
        lasts.append(last)
    if by_batch:
        outputs = [Permute((1, 0, 2))(output) for output in outputs]
    states = (_stacked(last, 1 if by_batch else 0) for last in zip(*lasts, strict=True))
    return _stacked(outputs, 2 if by_batch else 1), *states


def _directions(
    call: Call, kind: _Kind, into: Node, back: Node, kept: Activation
) -> list[_Direction]:
    count = int_size(into.type.shape[0])
    units = int_size(back.type.shape[2])
    call.must("hidden_size", units)
    clip = call.get("clip", 0.0)
    choice = bool(call.get(kind.choice, 0)) if kind.choice else False
    bias = call.tensor(3) if call.has(3) else None
    peepholes = call.tensor(7) if call.has(7) and kind.states > 1 else None
    return [
        _Direction(
            units, _of(into, k), _of(back, k), _biases(bias, k),
            None if peepholes is None else _of(peepholes, k), activations, clip, choice,
            kept,
        )
        for k, activations in enumerate(_activations(call, kind.activations, count))
    ]  # fmt: skip


def _of(values: Node, direction: int) -> Node:
    """Its part of what has the directions as its first axis."""
    part = slice_axis(values, 0, direction, direction + 1)
    return Reshape(values.type.shape[1:])(part if values.type.shape[0] != 1 else values)


def _biases(bias: Node | None, direction: int) -> tuple[Node, ...]:
    if bias is None:
        return ()
    half = int_size(bias.type.shape[1]) // 2
    both = _of(bias, direction)
    return slice_axis(both, 0, 0, half), slice_axis(both, 0, half, 2 * half)


def _start(
    call: Call, number: int, direction: int, x: Node, layer: _Direction, by_batch: bool
) -> Node:
    """The state before the first step [N, units]: zeros, where it is left out."""
    if not call.has(number):
        return Expand((x.type.shape[1], layer.units))(literal(0.0, x.type.dtype))
    given = call.tensor(number)
    start = _of(Permute((1, 0, 2))(given) if by_batch else given, direction)
    require_size(x.type.shape[1], start.type.shape[0], "the batch, as its first state has it,")
    return start


def _run(
    kind: _Kind, layer: _Direction, x: Node, starts: States, lengths: Node | None, reverse: bool
) -> tuple[Node, States]:
    """X [T, N, features] through one direction; the product of all inputs is one."""
    steps, batch, features = x.type.shape
    rows = layer.seen(Reshape((steps * batch, features))(x))
    sequence = Reshape((steps, batch, kind.gates * layer.units))(rows)
    return over_time(sequence, starts, lengths, reverse, lambda e, s: kind.step(layer, e, s))


def _stacked(parts: Sequence[Node], axis: int) -> Node:
    """The parts beside each other along a new axis."""
    shape = parts[0].type.shape
    return joined([Reshape((*shape[:axis], 1, *shape[axis:]))(part) for part in parts], axis)
