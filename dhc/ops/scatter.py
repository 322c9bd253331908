"""Elements put at places that are values, and what ONNX takes from such places."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import numpy as np

from dhc.ir.graph import Input, Node, literal
from dhc.ir.kernel import For, If, Let, Statement, Store
from dhc.ir.scalar import Buffer, Load, Scalar, Var, cast, maximum, minimum, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import counts
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Axis,
    OperatorKind,
    Structured,
    TypeRuleError,
    normalize_axis,
    op,
    require_elements,
)
from dhc.ops.compare import Equal
from dhc.ops.elementwise import Where
from dhc.ops.foreign import Call, ForeignError, reads
from dhc.ops.lookup import Gather, GatherElements, require_integers
from dhc.ops.movement import Expand, slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.positions import CountUp, FlatPlaces
from dhc.ops.rules import require_same_dtype
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute, Reshape
from dhc.ops.sort import ArgSort, line_count, lines_of

Combination = Literal["none", "add", "mul", "min", "max"]
_COMBINED: dict[Combination, Callable[[Scalar, Scalar], Scalar]] = {
    "none": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "min": minimum,
    "max": maximum,
}
_SINCE: dict[Combination, int] = {"none": 13, "add": 16, "mul": 16, "min": 18, "max": 18}
_NUMPY: dict[Combination, np.ufunc] = {
    "add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum,
}  # fmt: skip


@op("scatter_elements")
class ScatterElements(Structured):
    """x with each update put at its own place, but with the number in `indices` along one axis.

    Updates are put in their order along the axis, so that the last of several at one place stays.
    Negative numbers count from the end; updates with numbers that are not there are dropped.

    Attributes:
        axis: The axis along which indices count.
        reduction: What an update does to the element that it meets: `none` replaces it.
    """

    axis: Axis = 0
    reduction: Combination = "none"

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        normalize_axis(self.name, self.axis, x.rank)
        require_integers(self.name, indices)
        require_same_dtype(self.name, (x, updates))
        if self.reduction != "none":
            require_elements(self.name, "number", (x,))
        if indices.rank != x.rank or updates.shape != indices.shape:
            raise TypeRuleError(f"'{self.name}' needs an index for each update of {updates}.", 1)
        for axis, (count, size) in enumerate(zip(indices.shape, x.shape, strict=True)):
            both = isinstance(count, int) and isinstance(size, int)
            fits = count <= size if both else count == size  # type: ignore[operator]
            if axis != self.axis % x.rank and not fits:
                raise TypeRuleError(f"'{self.name}' has more indices {indices} than {x}.", 1)
        return x

    def loops(
        self, out: Buffer, x: Buffer, indices: Buffer, updates: Buffer
    ) -> tuple[Statement, ...]:
        """One line along the axis after another; within it in order, so that results are sure."""
        axis = self.axis % len(out.shape)
        line, around = lines_of(out, axis)
        i, k, place = Var("i", DType.I64), Var("k", DType.I64), Var("place", DType.I64)
        here, there, to = around(i), around(k), around(place)
        size = to_index(out.shape[axis])
        put = _COMBINED[self.reduction](Load(out, to), Load(updates, there))
        own = cast(Load(indices, there), DType.I64)
        update = (
            Let(place, select(own < 0, own + size, own) if indices.type.is_signed else own),
            If((place >= 0) & (place < size), (Store(out, to, put),)),
        )
        some: Statement = For(k, to_index(indices.shape[axis]), update)
        covered = to_index(0).equals(0)
        for other, (count, whole) in enumerate(zip(indices.shape, out.shape, strict=True)):
            if other != axis and count != whole:
                covered = covered & (here[other] < count)
        copied = For(i, size, (Store(out, here, Load(x, here)),))
        return (For(line, line_count(out, axis), (copied, If(covered, (some,))), "parallel"),)

    def numpy(self, x: Array, indices: Array, updates: Array) -> Array:
        result, count = x.copy(), x.shape[self.axis]
        wide = indices.astype(np.int64)
        wide = np.where(wide < 0, wide + count, wide)
        valid = (wide >= 0) & (wide < count)
        where: list[Array] = [*np.indices(indices.shape)]
        where[self.axis] = wide
        places = tuple(part[valid] for part in where)
        if self.reduction == "none":
            for *place, update in zip(*places, updates[valid], strict=True):
                result[tuple(place)] = update
        else:
            _NUMPY[self.reduction].at(result, places, updates[valid])
        return result

    def grad(
        self, upstream: Node, output: Node, x: Node, indices: Node, updates: Node
    ) -> tuple[Node | None, ...]:
        """Where an update replaces an element, the gradient is that of the last one there."""
        taken = GatherElements(self.axis)(upstream, indices)
        if self.reduction == "add":
            return upstream, None, taken
        if self.reduction != "none":
            raise NotImplementedError(f"'{self.name}' with {self.reduction} has no gradient")
        zero = literal(0.0, x.type.dtype)
        nothing = Expand(updates.type.shape)(zero)
        kept = ScatterElements(self.axis)(upstream, indices, nothing)
        return kept, None, Where()(self._last(x, indices), taken, zero)

    def _last(self, x: Node, indices: Node) -> Node:
        """Whether an update is the last at its place."""
        axis, shape = self.axis % x.type.rank, indices.type.shape
        line = tuple(size if each == axis else 1 for each, size in enumerate(shape))
        order = Expand(shape)(Reshape(line)(CountUp(shape[axis])()))
        nobody = Expand(x.type.shape)(literal(-1, DType.I64))
        winners = ScatterElements(axis)(nobody, indices, order)
        return Equal()(GatherElements(axis)(winners, indices), order)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Updates whose numbers are not there go to a place behind the last, which is cut off.

        Of several updates at one place ONNX lets readers keep any; those that put them one after
        another, as ONNX Runtime does, keep the last one.
        """
        from dhc.ops.scatter_write import beyond, written_apart

        places = [Input(f"x{k}", each.type)() for k, each in enumerate(inputs)]
        known = dict(zip(places, inputs, strict=True))
        if out.opset < _SINCE[self.reduction]:
            return out.graph(written_apart(self, *places), known)
        room, numbers = (out.graph(each, known) for each in beyond(self.axis, *places[:2]))
        wide = inputs if self.reduction == "none" else tuple(map(out.wide, (room, *inputs[1:])))
        x, updates = (room if self.reduction == "none" else wide[0]), wide[2]
        said = {} if self.reduction == "none" else {"reduction": self.reduction}
        put = out.node("ScatterElements", (x, numbers, updates), x.type, axis=self.axis, **said)
        end = Input("put", put.type)()
        cut = slice_axis(end, self.axis % result.rank, 0, result.shape[self.axis])
        return out.cast(out.graph(cut, {end: put}), result.dtype)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        found = cls(call.get("axis", 0), _reduction(call))
        return found(call.tensor(0), call.tensor(1), call.tensor(2))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-2.0, 2.0), (-5.0, 5.0), (-2.0, 2.0))
        types = ("f32[3, 5, 2]", "i64[2, 6, 2]", "f32[2, 6, 2]")
        ways: tuple[Combination, ...] = ("none", "add", "mul", "max")
        floats = [sample(cls(1, way), *types, ranges=ranges) for way in ways]
        whole = sample(cls(-1, "min"), "i32[4, 5]", "i32[4, 3]", "i32[4, 3]", ranges=ranges)
        return [*floats, whole, sample(cls(), "bool[4]", "i64[3]", "bool[3]", ranges=ranges)]


def _reduction(call: Call) -> Combination:
    found = call.get("reduction", "none")
    for each in _COMBINED:
        if found == each:
            return each
    raise ForeignError(f"attribute 'reduction' is {found!r}")


# ---- nodes of ONNX ---------------------------------------------------------------------------


@reads("Scatter", "ScatterElements")
def _read_scatter(call: Call) -> Node:
    return ScatterElements.from_onnx(call)


@reads("ScatterND")
def _read_scatter_nd(call: Call) -> Node:
    """Whole slices at indices of the first axes: rows of a matrix, by their numbers."""
    x, indices, updates = call.tensor(0), call.tensor(1), call.tensor(2)
    depth = _depth(indices)
    first, rest = x.type.shape[:depth], x.type.shape[depth:]
    count, width = math.prod(indices.type.shape[:-1]), math.prod(rest)
    places = Reshape((count, 1))(FlatPlaces(first)(indices))
    put = ScatterElements(0, _reduction(call))
    rows = Reshape((math.prod(first), width))(x)
    new = Reshape((count, width))(updates)
    return Reshape(x.type.shape)(put(rows, Expand((count, width))(places), new))


@reads("GatherND")
def _read_gather_nd(call: Call) -> Node:
    x, indices = call.tensor(0), call.tensor(1)
    depth, batch = _depth(indices), call.get("batch_dims", 0)
    outer, first = x.type.shape[:batch], x.type.shape[batch : batch + depth]
    rest = x.type.shape[batch + depth :]
    places, rows, width = FlatPlaces(first)(indices), math.prod(outer), math.prod(rest)
    shape = (*indices.type.shape[:-1], *rest)
    if not batch:
        entries = Gather(0)(Reshape((math.prod(first), width))(x), places)
        return Reshape(shape)(entries)
    count = math.prod(indices.type.shape[batch:-1])
    spread = Expand((rows, count, width))(Reshape((rows, count, 1))(places))
    return Reshape(shape)(GatherElements(1)(Reshape((rows, math.prod(first), width))(x), spread))


def _depth(indices: Node) -> int:
    """How many axes an index of `indices` [..., k] is for."""
    depth = indices.type.shape[-1]
    if not isinstance(depth, int):
        raise ForeignError("the number of axes that it indexes is not known")
    return depth


@reads("TopK")
def _read_top(call: Call) -> tuple[Node, ...]:
    """The first elements in order of size, and their numbers; of equal ones the first wins."""
    x = call.tensor(0)
    axis = normalize_axis("argsort", call.get("axis", -1), x.type.rank)
    (count,) = call.sizes(1) if call.opset >= 10 else (call.get("k", 0),)
    call.get("sorted", 1)
    size = x.type.shape[axis]
    more = size - count
    if (isinstance(count, int) and (count < 1 or counts(size))) or (
        isinstance(more, int) and more < 0
    ):
        raise ForeignError(f"it takes {count} of {size} elements")
    order = (*range(axis), *range(axis + 1, x.type.rank), axis)
    back = tuple(order.index(each) for each in range(x.type.rank))
    rows = Permute(order)(x)
    places = ArgSort(bool(call.get("largest", 1)))(rows)
    numbers = Permute(back)(slice_axis(places, x.type.rank - 1, 0, count))
    return GatherElements(axis)(x, numbers), numbers
