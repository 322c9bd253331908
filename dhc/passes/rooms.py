"""What is known of counts while they are given room: the numbers that are found, and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dhc.ir.counts import counts_in
from dhc.ir.evaluate import reduce_identity
from dhc.ir.graph import Node, Op, literal
from dhc.ir.size import Count, Shape, Size, counts, largest
from dhc.ir.types import DType, Tensor
from dhc.ops.anchor import size_node
from dhc.ops.base import Axis
from dhc.ops.compare import And, GreaterEqual, Less
from dhc.ops.elementwise import Add, Cast, Where
from dhc.ops.positions import CountUp
from dhc.ops.shape import Reshape


class NoRoomError(Exception):
    """An operator cannot work with a size that is only found when the program runs."""


def room_for(shape: Shape) -> tuple[Size, ...]:
    """Returns a shape with every count as large as it can be.

    Raises:
        NoRoomError: if there is no such number.
    """
    try:
        return tuple(map(largest, shape))
    except ValueError as error:
        raise NoRoomError(str(error)) from None


class Rooms:
    """The numbers that a graph finds, as nodes of the graph with room for the most."""

    def __init__(self) -> None:
        self.found: dict[str, Node] = {}
        self.most: dict[str, Size] = {}

    def find(self, count: Count, number: Node) -> None:
        """Takes the node, i64 [], that says how much is found."""
        self.found[count.name] = number
        (self.most[count.name],) = room_for((count.most,))

    def op(self, op: Op) -> Op:
        """Returns an operator with counts as large as they can be."""
        return op.substitute(self.most)

    # ---- numbers -----------------------------------------------------------------------------

    def size(self, size: Size) -> Node:
        """Returns a size as a number of the program; i64 []."""
        if isinstance(size, int):
            return literal(size, DType.I64)
        return size_node(size, lambda count: self.found[count.name])

    # ---- entries that are there --------------------------------------------------------------

    def filled(self, x: Node, type: Tensor, value: float, axes: Iterable[Axis] = ()) -> Node:
        """Returns a tensor with a value in place of what is not there.

        Args:
            x: The tensor, with room.
            type: Its type without.
            value: What to put there.
            axes: Along which axes; all if none are named.
        """
        inside = self.inside(type.shape, tuple(axes) or tuple(range(type.rank)))
        if inside is None:
            return x
        kind: Callable[[float], float | int | bool] = (
            float if type.dtype.is_float else bool if type.dtype is DType.BOOL else int
        )
        return Where()(inside, x, literal(kind(value), type.dtype))

    def neutral(self, x: Node, type: Tensor, kind: str, axes: Iterable[Axis] = ()) -> Node:
        """Returns a tensor in which what is not there changes no reduction of a kind."""
        return self.filled(x, type, reduce_identity(kind, type.dtype), axes)

    def inside(self, shape: Shape, axes: Iterable[Axis]) -> Node | None:
        """Returns which entries along some axes are there; None if all are."""
        found: Node | None = None
        for axis in axes:
            if not counts(shape[axis]):
                continue
            (room,) = room_for((shape[axis],))
            line = tuple(room if each == axis else 1 for each in range(len(shape)))
            own = Reshape(line)(Less()(CountUp(room)(), self.size(shape[axis])))
            found = own if found is None else And()(found, own)
        return found

    def placed(self, indices: Node, type: Tensor, size: Size) -> Node:
        """Returns indices along an axis that can be followed.

        What is not there of them becomes 0. If the axis has a size that is found, the others count
        from its front, and those that name nothing name nothing behind its room either.
        """
        if counts(size):
            if not type.dtype.is_signed or type.dtype.bits < 32:
                raise NoRoomError(f"indices of type {type.dtype} along size {size}")
            indices = self._from_front(indices, size)
        return self.filled(indices, Tensor(indices.type.dtype, type.shape), 0)

    def _from_front(self, indices: Node, size: Size) -> Node:
        wide = indices if indices.type.dtype is DType.I64 else Cast(DType.I64)(indices)
        count, zero = self.size(size), literal(0, DType.I64)
        (room,) = room_for((size,))
        front = Where()(Less()(wide, zero), Add()(wide, count), wide)
        beyond = GreaterEqual()(front, count)
        behind = Where()(Less()(front, zero), self.size(room), front)
        return Where()(beyond, self.size(room), behind)


def is_counted(shape: Shape) -> bool:
    """Whether a shape has counts."""
    return bool(counts_in(shape))
