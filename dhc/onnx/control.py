"""Branches and loops of ONNX.

A graph has neither: a branch that is not known becomes a choice between both results, and a loop
becomes a `scan`, or as many copies of its body as it has steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.base import TypeRuleError
from dhc.ops.closure import close, placeholder
from dhc.ops.elementwise import Where
from dhc.ops.foreign import (
    Body,
    Call,
    ForeignError,
    Held,
    Known,
    Nothing,
    Results,
    Tensors,
    Value,
    as_size,
    as_value,
    reads,
)
from dhc.ops.movement import reversed_axes, slice_axis
from dhc.ops.rules import normalize_axis
from dhc.ops.scan import Scan
from dhc.ops.sequence import Positions
from dhc.ops.shape import Permute, Reshape, joined

MOST_STEPS = 1024  # of loops whose steps are all read

Nodes = Sequence[Node]
Step = Callable[[Nodes, Nodes], Nodes]
"""Takes the carried values and an element of each sequence; returns the next carried values, then
what else the step makes."""

# ---- branches --------------------------------------------------------------------------------


@reads("If")
def _if(call: Call) -> Results:
    """What a branch gives, or a choice between what both give: graphs have no effects."""
    condition = call.value(0)
    then, otherwise = call.body("then_branch"), call.body("else_branch")
    if isinstance(condition, Known):
        return (then if condition.array.reshape(-1)[0] else otherwise)(())
    try:
        pairs = list(zip(then(()), otherwise(()), strict=True))
        return tuple(_chosen(call, Reshape(())(condition), a, b) for a, b in pairs)
    except ForeignError as error:
        raise ForeignError(str(error), {condition, *error.unknown}) from error


def _chosen(call: Call, condition: Node, a: Held, b: Held) -> Held:
    """One of two values, element by element.

    Raises:
        ForeignError: if they differ in more than their elements.
    """
    if isinstance(a, Tensors) and isinstance(b, Tensors) and len(a.items) == len(b.items):
        both = zip(a.items, b.items, strict=True)
        return Tensors(tuple(_chosen_tensor(call, condition, x, y) for x, y in both))
    if isinstance(a, Nothing) and isinstance(b, Nothing):
        return a
    if not isinstance(a, Value) or not isinstance(b, Value):
        raise ForeignError("which branch it takes must be known before the model runs")
    return _chosen_tensor(call, condition, a, b)


def _chosen_tensor(call: Call, condition: Node, a: Value, b: Value) -> Value:
    if isinstance(a, Known) and isinstance(b, Known) and _same(a, b):
        return a
    x, y = call.node(a), call.node(b)
    if x.type != y.type:
        text = f"its branches give {x.type} and {y.type}, so that"
        raise ForeignError(f"{text} which one it takes must be known before the model runs")
    return Where()(condition, x, y)


def _same(a: Known, b: Known) -> bool:
    return (
        a.dtype is b.dtype and a.array.dtype == b.array.dtype and np.array_equal(a.array, b.array)
    )


# ---- loops whose number of steps is known ----------------------------------------------------


@reads("Loop")
def _loop(call: Call) -> Results:
    """A scan, where the steps do the same to values of the same types; else all its steps."""
    body = call.body("body")
    starts = tuple(call.held(number) for number in range(2, len(call)))
    steps: Size | None = as_size(call.known(0).reshape(-1).tolist()[0]) if call.has(0) else None
    if call.has(1) and not call.numbers(1).reshape(-1)[0]:
        steps = 0
    if steps is None or (isinstance(steps, int) and steps < 1):
        return _unrolled(call, body, starts, steps)
    try:
        return _as_scan(call, body, starts, steps)
    except (ForeignError, TypeRuleError):
        if not isinstance(steps, int):
            raise
    return _unrolled(call, body, starts, steps)


def _as_scan(call: Call, body: Body, starts: Sequence[Held], steps: Size) -> Results:
    """The loop as one over the numbers of its steps.

    Raises:
        ForeignError: if values of its steps must be known while reading, or it may end early.
    """
    nodes = [call.node(as_value(start, "what a loop carries")) for start in starts]

    def step(carries: Nodes, elements: Nodes) -> Nodes:
        going_on, *made = body((elements[0], Known(np.array(True), DType.BOOL), *carries))
        if not isinstance(going_on, Known) or not going_on.array.all():
            raise ForeignError("whether it goes on must be known before the model runs")
        return [call.node(as_value(each, "what a step makes")) for each in made]

    lasts, every = _scanned(nodes, [Positions(steps)()], steps, step)
    return (*lasts, *every)


def _unrolled(call: Call, body: Body, starts: Sequence[Held], steps: int | None) -> Results:
    """All steps one after another.

    Raises:
        ForeignError: if they are too many, or it is not known when they end.
    """
    values = tuple(starts)
    made: list[tuple[Held, ...]] = []
    going_on: Held = Known(np.array(True), DType.BOOL)
    while len(made) != steps:
        if len(made) == MOST_STEPS:
            raise ForeignError(f"it takes more than {MOST_STEPS} steps")
        number = Known(np.array(len(made), np.int64), DType.I64)
        going_on, *results = body((number, going_on, *values))
        values = tuple(results[: len(starts)])
        made.append(tuple(results[len(starts) :]))
        if isinstance(going_on, Node):
            raise ForeignError("whether it goes on must be known before the model runs", [going_on])
        if not isinstance(going_on, Known) or not going_on.array.all():
            break
    if not made and any(call.results[len(starts) :]):
        raise ForeignError("it takes no step, so that the shapes of its results are not known")
    return (*values, *(_stacked(call, parts) for parts in zip(*made, strict=True)))


def _stacked(call: Call, parts: Sequence[Held]) -> Node:
    nodes = [call.node(as_value(part, "what a step makes")) for part in parts]
    return joined([Reshape((1, *node.type.shape))(node) for node in nodes], 0)


# ---- loops over sequences --------------------------------------------------------------------


@reads("Scan")
def _scan(call: Call) -> Results:
    """A loop over axes of tensors, each of them in its direction."""
    count = call.get("num_scan_inputs", 0)
    if call.opset < 9:
        return _of_batches(call, count)
    states = len(call) - count
    axes = call.ints("scan_input_axes") or (0,) * count
    ways = call.ints("scan_input_directions") or (0,) * count
    inputs = [call.tensor(number) for number in range(states, len(call))]
    sequences = [_first(x, axis, way) for x, axis, way in zip(inputs, axes, ways, strict=True)]
    starts = [call.tensor(number) for number in range(states)]
    lasts, every = _over(call, starts, sequences)
    axes = call.ints("scan_output_axes") or (0,) * len(every)
    ways = call.ints("scan_output_directions") or (0,) * len(every)
    return (*lasts, *(_placed(y, a, way) for y, a, way in zip(every, axes, ways, strict=True)))


def _of_batches(call: Call, count: int) -> Results:
    """Version 8: tensors [N, T, ...], each sample by itself; its states are [N, ...]."""
    if call.has(0):
        raise ForeignError("it has lengths of its own for each sample")
    ways = call.ints("directions") or (0,) * count
    given = [call.tensor(number) for number in range(1, len(call))]
    batch = given[0].type.shape[0]
    if not isinstance(batch, int) or batch > MOST_STEPS:
        raise ForeignError(f"it has {batch} samples, each by itself")
    samples: list[list[Node]] = []
    for number in range(batch):
        parts = [Reshape(x.type.shape[1:])(slice_axis(x, 0, number, number + 1)) for x in given]
        starts, inputs = parts[: len(parts) - count], parts[len(parts) - count :]
        sequences = [_first(x, 0, way) for x, way in zip(inputs, ways, strict=True)]
        samples.append([node for group in _over(call, starts, sequences) for node in group])
    return tuple(_stacked(call, parts) for parts in zip(*samples, strict=True))


def _over(call: Call, starts: Nodes, sequences: Nodes) -> tuple[list[Node], list[Node]]:
    body = call.body("body")
    if not sequences:
        raise ForeignError("it goes over nothing")

    def step(carries: Nodes, elements: Nodes) -> Nodes:
        made = body((*carries, *elements))
        return [call.node(as_value(each, "what a step makes")) for each in made]

    return _scanned(starts, sequences, sequences[0].type.shape[0], step)


def _scanned(
    starts: Nodes, sequences: Nodes, length: Size, step: Step
) -> tuple[list[Node], list[Node]]:
    """The last of the carried values, and what all steps made, along a first axis."""
    elements = [placeholder("step", x.type.with_shape(x.type.shape[1:])) for x in sequences]
    carries = [placeholder("state", start.type) for start in starts]
    made = step(carries, elements)
    closure = close((*elements, *carries), made)
    scan = Scan(closure.body, len(sequences), len(carries), length)
    inputs = (*sequences, *starts, *closure.captures)
    lasts = [replace(scan, output=k, last=True)(*inputs) for k in range(len(starts))]
    return lasts, [replace(scan, output=k)(*inputs) for k in range(len(starts), len(made))]


def _first(x: Node, axis: int, way: int) -> Node:
    """A tensor with an axis as its first one, in the direction in which the loop goes."""
    place = normalize_axis("scan", axis, x.type.rank)
    order = (place, *(k for k in range(x.type.rank) if k != place))
    moved = Permute(order)(x) if place else x
    return reversed_axes(moved, [0]) if way else moved


def _placed(y: Node, axis: int, way: int) -> Node:
    """The opposite: the first axis at its place."""
    place = normalize_axis("scan", axis, y.type.rank)
    y = reversed_axes(y, [0]) if way else y
    order = (*range(1, place + 1), 0, *range(place + 1, y.type.rank))
    return Permute(order)(y) if place else y
