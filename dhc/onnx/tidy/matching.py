"""What the rules ask of nodes: numbers, operands in any order, products and squares."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dhc.ir.graph import Literal_, Node
from dhc.ops.elementwise import Add, Div, Mul, Pow, Reciprocal, Sqrt
from dhc.ops.reduce import ReduceMean

Pair = tuple[Node, Node]


def orders(node: Node) -> Iterator[Pair]:
    """The operands of a sum or product, in both orders."""
    first, second = node.inputs
    yield first, second
    yield second, first


def number(node: Node) -> float | None:
    """The value of a node that is one number."""
    return float(node.op.value) if isinstance(node.op, Literal_) else None


def close(found: float, wanted: float) -> bool:
    """Whether a number is another, as exporters round it."""
    return math.isclose(found, wanted, rel_tol=1e-4)


def is_number(node: Node, value: float) -> bool:
    """Whether a node is this number."""
    found = number(node)
    return found is not None and close(found, value)


def factors(node: Node) -> tuple[float, list[Node]]:
    """A product as a number and what else is multiplied."""
    total, rest, stack = 1.0, list[Node](), [node]
    while stack:
        top = stack.pop()
        found = number(top)
        if found is not None:
            total *= found
        elif isinstance(top.op, Mul) and len(rest) + len(stack) < 8:
            stack.extend(top.inputs)
        elif isinstance(top.op, Div) and number(top.inputs[1]):
            total /= number(top.inputs[1]) or 1.0
            stack.append(top.inputs[0])
        else:
            rest.append(top)
    return total, rest


def peeled(node: Node) -> tuple[float, Node]:
    """A number, and what is multiplied by it."""
    total = 1.0
    while isinstance(node.op, Mul | Div):
        x, value = _numbered(node)
        if x is None or not value:
            break
        total = total * value if isinstance(node.op, Mul) else total / value
        node = x
    return total, node


def _numbered(node: Node) -> tuple[Node | None, float]:
    """The operand beside a number, and the number."""
    pairs = orders(node) if isinstance(node.op, Mul) else iter([node.inputs])
    found = ((x, number(y)) for x, y in pairs if x.type == node.type)
    return next(((x, value) for x, value in found if value is not None), (None, 0.0))


def pairs_of(node: Node, wanted: float) -> Iterator[Pair]:
    """Two operands, in both orders, of a product that is also multiplied by a number.

    They may be products themselves, or one of them may be spread over the product.
    """
    total, inner = peeled(node)
    if isinstance(inner.op, Mul):
        (one, x), (other, y) = map(peeled, inner.inputs)
        if close(total * one * other, wanted):
            yield from ((x, y), (y, x))
    found, rest = factors(node)
    if len(rest) == 2 and close(found, wanted):
        yield from ((rest[0], rest[1]), (rest[1], rest[0]))


def plus(node: Node, value: float) -> Node | None:
    """X of x + a number."""
    if not isinstance(node.op, Add):
        return None
    return next((a for a, b in orders(node) if is_number(b, value)), None)


def plus_any(node: Node) -> tuple[Node, float] | None:
    """X and the number of x + a number."""
    if not isinstance(node.op, Add):
        return None
    found = ((a, number(b)) for a, b in orders(node))
    return next(((a, value) for a, value in found if value is not None), None)


def is_square(node: Node, x: Node) -> bool:
    """Whether a node is x * x."""
    if isinstance(node.op, Pow):
        return node.inputs[0] is x and is_number(node.inputs[1], 2.0)
    return isinstance(node.op, Mul) and node.inputs == (x, x)


def mean_axes(node: Node, x: Node) -> tuple[int, ...] | None:
    """The axes of a mean of x that stay with size 1."""
    op = node.op
    if not isinstance(op, ReduceMean) or not op.keepdims or node.inputs[0] is not x:
        return None
    return op.folded(x.type)


def quotient_by_root(node: Node) -> Iterator[Pair]:
    """X and s of x / sqrt(s), however it is written."""
    if isinstance(node.op, Div) and isinstance(node.inputs[1].op, Sqrt):
        yield node.inputs[0], node.inputs[1].inputs[0]
    if isinstance(node.op, Mul):
        for x, other in orders(node):
            total = _under_root(other)
            if total is not None:
                yield x, total


def _under_root(node: Node) -> Node | None:
    """S of 1 / sqrt(s)."""
    match node.op:
        case Reciprocal():
            root = node.inputs[0]
        case Div() if is_number(node.inputs[0], 1.0):
            root = node.inputs[1]
        case Pow() if is_number(node.inputs[1], -0.5):
            return node.inputs[0]
        case _:
            return None
    return root.inputs[0] if isinstance(root.op, Sqrt) else None
