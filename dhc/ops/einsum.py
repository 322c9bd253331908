"""Sums of products over axes with letters, as ONNX's Einsum writes them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dhc.ir.graph import Node
from dhc.ir.size import Size, unify
from dhc.ops.elementwise import Mul
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.linear import MatMul
from dhc.ops.movement import Expand, slice_axis
from dhc.ops.reduce import ReduceSum
from dhc.ops.shape import Permute, Reshape

Labels = tuple[str, ...]


@dataclass(frozen=True)
class _Term:
    """A tensor whose axes have labels, no two the same."""

    node: Node
    labels: Labels

    def summed(self, needed: Collection[str]) -> _Term:
        """Without the axes that nothing needs."""
        axes = tuple(k for k, label in enumerate(self.labels) if label not in needed)
        if not axes:
            return self
        kept = tuple(label for label in self.labels if label in needed)
        return _Term(ReduceSum(axes)(self.node), kept)

    def ordered(self, labels: Labels) -> Node:
        """The tensor with its axes in this order."""
        if labels == self.labels:
            return self.node
        return Permute(tuple(map(self.labels.index, labels)))(self.node)

    def spread(self, sizes: Mapping[str, Size], shared: Labels) -> _Term:
        """With shared axes of size 1 repeated to the size that they have elsewhere."""
        pairs = zip(self.labels, self.node.type.shape, strict=True)
        shape = tuple(sizes[label] if label in shared else size for label, size in pairs)
        return (
            self if shape == self.node.type.shape else _Term(Expand(shape)(self.node), self.labels)
        )


@reads("Einsum")
def _read_einsum(call: Call) -> Node:
    """One operand after another is multiplied with what the ones before gave."""
    operands = call.tensors
    inputs, output = _equation(call.get("equation", ""), [node.type.rank for node in operands])
    terms = [_diagonal(node, labels) for node, labels in zip(operands, inputs, strict=True)]
    sizes = _sizes(terms)
    result = terms[0]
    for number, term in enumerate(terms[1:], 2):
        needed = {*output, *(label for later in terms[number:] for label in later.labels)}
        result = _product(result, term, needed, sizes)
    return result.summed(output).ordered(output)


def _product(
    left: _Term, right: _Term, needed: Collection[str], sizes: Mapping[str, Size]
) -> _Term:
    """The product of two terms, summed over the axes that nothing needs any more."""
    left = left.summed({*needed, *right.labels})
    right = right.summed({*needed, *left.labels})
    shared = tuple(label for label in left.labels if label in right.labels)
    left, right = left.spread(sizes, shared), right.spread(sizes, shared)
    batch = tuple(label for label in shared if label in needed)
    folded = tuple(label for label in shared if label not in needed)
    rows = tuple(label for label in left.labels if label not in shared)
    columns = tuple(label for label in right.labels if label not in shared)
    shapes = [_shape(sizes, each) for each in (batch, folded)]
    own = dict(zip(left.labels, left.node.type.shape, strict=True)) | dict(
        zip(right.labels, right.node.type.shape, strict=True)
    )
    height, width = _shape(own, rows), _shape(own, columns)
    whole = (math.prod(shapes[0]), math.prod(height), math.prod(shapes[1]), math.prod(width))
    a = Reshape(whole[:3])(left.ordered((*batch, *rows, *folded)))
    b = Reshape((whole[0], *whole[2:]))(right.ordered((*batch, *folded, *columns)))
    product = MatMul()(a, b) if folded else Mul()(a, b)
    return _Term(Reshape((*shapes[0], *height, *width))(product), (*batch, *rows, *columns))


def _shape(sizes: Mapping[str, Size], labels: Labels) -> tuple[Size, ...]:
    return tuple(sizes[label] for label in labels)


def _sizes(terms: Sequence[_Term]) -> dict[str, Size]:
    """The size of each label; 1 gives way to any other.

    Raises:
        ForeignError: if two differ.
    """
    found: dict[str, Size] = {}
    for term in terms:
        for label, size in zip(term.labels, term.node.type.shape, strict=True):
            before = found.get(label, 1)
            common = size if before == 1 else before if size == 1 else unify(before, size)
            if common is None:
                raise ForeignError(f"its axes '{label}' have {before} and {size} elements")
            found[label] = common
    return found


def _diagonal(node: Node, labels: Labels) -> _Term:
    """Of axes with one letter the elements whose numbers are the same."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            node = _along_diagonal(node, first, second)
            labels = (*labels[:second], *labels[second + 1 :])
    return _Term(node, labels)


def _along_diagonal(node: Node, first: int, second: int) -> Node:
    """The second axis moves behind the first, and both become one that is walked in steps."""
    shape = node.type.shape
    count = shape[first]
    if not isinstance(count, int) or shape[second] != count:
        raise ForeignError(f"it has no diagonal of {count} and {shape[second]} elements")
    order = [axis for axis in range(len(shape)) if axis != second]
    order.insert(first + 1, second)
    moved = Permute(tuple(order))(node)
    rest = moved.type.shape
    flat = Reshape((*rest[:first], count * count, *rest[first + 2 :]))(moved)
    return slice_axis(flat, first, 0, count * count, count + 1)


# ---- equations -------------------------------------------------------------------------------


def _equation(text: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """Returns the labels of each operand's axes and of the result's.

    Raises:
        ForeignError: if the equation does not fit.
    """
    left, arrow, right = text.replace(" ", "").partition("->")
    parts = left.split(",")
    if len(parts) != len(ranks):
        raise ForeignError(f"the equation '{text}' is not for {len(ranks)} tensors")
    inputs = [_labels(part, rank) for part, rank in zip(parts, ranks, strict=True)]
    open_axes = max((_dots(labels) for labels in inputs), key=len)
    used = [label for labels in inputs for label in labels if label.isalpha()]
    once = tuple(sorted(label for label in set(used) if used.count(label) == 1))
    output = (*open_axes, *once)
    if arrow:
        output = _labels(right, len(right.replace("...", "")) + len(open_axes))
        if open_axes and "..." not in right:
            raise ForeignError(f"the equation '{text}' says nothing of '...' in the result")
    if len(set(output)) != len(output) or not set(output) <= {*used, *open_axes}:
        raise ForeignError(f"the equation '{text}' has no such result")
    return inputs, output


def _labels(part: str, rank: int) -> Labels:
    """The labels of axes: letters, and numbers from the end for what dots stand for."""
    before, dots, after = part.partition("...")
    hidden = rank - len(before) - len(after)
    letters = before + after
    if (
        hidden < 0
        or (hidden and not dots)
        or (letters and not (letters.isascii() and letters.isalpha()))
    ):
        raise ForeignError(f"'{part}' does not describe {rank} axes")
    return (*before, *map(str, range(-hidden, 0)), *after)


def _dots(labels: Labels) -> Labels:
    return tuple(label for label in labels if not label.isalpha())
