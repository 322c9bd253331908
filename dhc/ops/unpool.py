"""Max pooling that remembers places, and unpooling that puts values back there (SegNet).

A *place* is the row-major number of an element among the spatial axes of one sample and channel:
`y * W + x` in an image. Places are i64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dhc.ir.evaluate import reduce_identity
from dhc.ir.graph import Node, literal
from dhc.ir.scalar import Scalar, maximum, minimum, reduce_over, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Shape, Size, static, unify
from dhc.ir.types import DType, Tensor, dtype_of
from dhc.ops.base import (
    Array,
    Index,
    LayerContext,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    layer,
    op,
    size_scalar,
)
from dhc.ops.conv import Ints, Padding, Pads, foreign_window, int_size, read_place
from dhc.ops.elementwise import Add, Div, Mod, Mul, Sub
from dhc.ops.foreign import Call, reads
from dhc.ops.movement import Expand, Pad, SizeValue
from dhc.ops.outward import Outward, Term
from dhc.ops.outward_elements import write_elements
from dhc.ops.pool import MaxPool, Pool, pool_window
from dhc.ops.positions import CountUp
from dhc.ops.sample import Sample, sample
from dhc.ops.scatter import ScatterElements
from dhc.ops.shape import Reshape, flatten_index, unflatten


@op("max_pool_places")
class MaxPoolPlaces(Pool):
    """The place of the first largest element of each window of `max_pool`.

    Padding is never chosen: if all elements are as low as it, the first of them is.
    """

    @classmethod
    def of(cls, pool: MaxPool) -> MaxPoolPlaces:
        """Returns what gives the places of a pooling."""
        return cls(pool.kernel, pool.stride, pool.pads, pool.ceil, dilation=pool.dilation)

    def infer(self, x: Tensor) -> Tensor:
        return super().infer(x).with_dtype(DType.I64)

    def element(self, out: Tensor, index: Index, x: Operand) -> Scalar:
        taps, where = self.window(index)
        lowest = reduce_identity("max", x.type.dtype)
        best = reduce_over("argmax", taps, x.padded(where, lowest))
        chosen = unflatten(best, self.kernel)
        sizes = x.type.shape[2:]
        found = read_place(index[2:], chosen, self.stride, self.steps, self.pads)
        places = tuple(
            minimum(maximum(place, place % step), size_scalar(size) - 1)
            for place, step, size in zip(found, self.steps, sizes, strict=True)
        )
        return flatten_index(places, sizes)

    def numpy(self, x: Array) -> Array:
        windows = self.windows(x, reduce_identity("max", dtype_of(x)))
        flat = windows.reshape((*windows.shape[: x.ndim], -1))
        taps = np.unravel_index(flat.argmax(axis=-1), self.kernel)
        grids: tuple[Array, ...] = np.indices(windows.shape[2 : x.ndim], sparse=True)
        rows = zip(grids, self.stride, taps, self.steps, self.pads, strict=True)
        found = [grid * s + tap * step - before for grid, s, tap, step, (before, _) in rows]
        places = [
            np.minimum(np.maximum(place, place % step), size - 1)
            for place, step, size in zip(found, self.steps, x.shape[2:], strict=True)
        ]
        return np.asarray(np.ravel_multi_index(places, x.shape[2:]), np.int64)

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (None,)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """ONNX counts places through all samples and channels."""
        if self.reaches_out:
            return write_elements(out, self, result, *inputs)
        types = (inputs[0].type.with_shape(result.shape), result)
        _, places = out.several("MaxPool", inputs, types, **self.said())
        plane = out.size(math.prod(inputs[0].shape[2:]))
        return out.node("Mod", (places, plane), result)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        dilated = cls((2, 3), (2, 1), ((1, 0), (2, 2)), dilation=(3, 2))
        ties = sample(cls((2, 2), (1, 1), ((0, 0), (1, 1))), "f32[1, 1, 4, 5]", ranges=((0, 0),))
        return [
            sample(cls((2, 2), (2, 2), ((0, 0), (0, 0))), "f32[2, 3, 4, 6]"),
            sample(cls((3, 2), (2, 1), ((1, 1), (0, 1)), True), "f32[1, 2, 6, 5]"),
            ties,
            sample(dilated, "f32[1, 2, 6, 5]"),
            sample(dilated, "u8[1, 2, 6, 5]", ranges=((0, 0),)),
        ]


# ---- between windows and places --------------------------------------------------------------


@dataclass(frozen=True)
class Placing(Structured):
    """The base of what moves elements between windows and the places chosen in them.

    A place that lies outside of its window has nothing.

    Attributes:
        kernel, stride, pads: The windows, as of the pooling, with all that lies between elements.
        size: The spatial sizes of what was pooled.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    size: tuple[Size, ...]

    inlines_producers: ClassVar[bool] = True

    def check_places(self, places: Tensor, position: int) -> None:
        if places.dtype is not DType.I64 or places.rank != len(self.kernel) + 2:
            raise TypeRuleError(
                f"'{self.name}' needs the places that 'maxpool_indices' gives, "
                f"i64 of {len(self.kernel) + 2} axes, not {places}.",
                position,
            )

    def chosen(self, places: Array) -> tuple[Array, tuple[Array, ...]]:
        """For numpy: which windows have their place inside, and the index of each place."""
        size = static(self.size)
        inside = (places >= 0) & (places < math.prod(size))
        index = np.unravel_index(np.where(inside, places, 0), size)
        grids = np.indices(places.shape)
        for i, at in enumerate(index):
            first = grids[2 + i] * self.stride[i] - self.pads[i][0]
            inside &= (at >= first) & (at < first + self.kernel[i])
        return inside, (grids[0], grids[1], *index)


@op("max_unpool")
class MaxUnpool(Placing):
    """Each element put at the place of its window, zeros elsewhere.

    Where windows overlap and choose the same place, their elements are added: so this is the
    gradient of max pooling, too.
    """

    def infer(self, x: Tensor, places: Tensor) -> Tensor:
        self.check_places(places, 1)
        if x.rank != places.rank or any(
            unify(a, b) is None for a, b in zip(x.shape, places.shape, strict=True)
        ):
            raise TypeRuleError(f"'{self.name}' needs as many places as elements of {x}.", 1)
        return x.with_shape((*x.shape[:2], *self.size))

    def element(self, out: Tensor, index: Index, x: Operand, places: Operand) -> Scalar:
        offsets, windows = [], []
        covers = to_index(0).equals(0)
        for axis, i in enumerate(index[2:]):
            stride, before = self.stride[axis], self.pads[axis][0]
            offset = axis_variable(f"k{axis}", -(-self.kernel[axis] // stride))
            window = (i + before) // stride - offset
            offsets.append(offset)
            windows.append(window)
            covers = covers & (i < window * stride - before + self.kernel[axis])
        where = (*index[:2], *windows)
        here = places.padded(where, -1).equals(flatten_index(index[2:], self.size))
        value = select(covers & here, x.padded(where), 0)
        return reduce_over("sum", tuple(offsets), value)

    def numpy(self, x: Array, places: Array) -> Array:
        result = np.zeros((*x.shape[:2], *static(self.size)), x.dtype)
        inside, index = self.chosen(places)
        np.add.at(result, tuple(part[inside] for part in index), x[inside])
        return result

    def grad(self, upstream: Node, output: Node, x: Node, places: Node) -> tuple[Node | None, ...]:
        back = TakePlaces(self.kernel, self.stride, self.pads, self.size)
        return back(upstream, places), None

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return _samples(cls, "f32[1, 2, 2, 3]")


@op("take_places")
class TakePlaces(Placing):
    """The element at the place of each window: what `max_unpool` puts there, taken back."""

    def infer(self, x: Tensor, places: Tensor) -> Tensor:
        self.check_places(places, 1)
        if x.shape != (*places.shape[:2], *self.size):
            raise TypeRuleError(f"'{self.name}' cannot find places of {places} in {x}.", 0)
        return x.with_shape(places.shape)

    def element(self, out: Tensor, index: Index, x: Operand, places: Operand) -> Scalar:
        at = unflatten(places[index], self.size)
        inside = to_index(0).equals(0)
        for axis, (i, place) in enumerate(zip(index[2:], at, strict=True)):
            first = i * self.stride[axis] - self.pads[axis][0]
            inside = inside & (place >= first) & (place < first + self.kernel[axis])
        return select(inside, x.padded((*index[:2], *at)), 0)

    def numpy(self, x: Array, places: Array) -> Array:
        inside, index = self.chosen(places)
        return np.where(inside, x[index], x.dtype.type(0))

    def grad(self, upstream: Node, output: Node, x: Node, places: Node) -> tuple[Node | None, ...]:
        back = MaxUnpool(self.kernel, self.stride, self.pads, self.size)
        return back(upstream, places), None

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        return write_elements(out, self, result, *inputs)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return _samples(cls, "f32[1, 2, 4, 5]")


def _samples(cls: type[Placing], type: str) -> list[Sample]:
    ranges = ((-2.0, 2.0), (-1.0, 20.0))
    apart = cls((2, 2), (2, 2), ((0, 0), (1, 0)), (4, 5))
    overlapping = cls((3, 5), (2, 2), ((1, 0), (2, 2)), (4, 5))
    return [sample(each, type, "i64[1, 2, 2, 3]", ranges=ranges) for each in (apart, overlapping)]


# ---- layers ----------------------------------------------------------------------------------


@layer("maxpool_indices")
def maxpool_indices(
    context: LayerContext,
    x: Node,
    size: Ints = 2,
    stride: Ints = 0,
    pad: Padding = "valid",
    ceil: bool = False,
) -> tuple[Node, ...]:
    """Max pooling that gives two tensors: the largest elements, and their places.

    A place is the row-major number of an element in its plane; `maxunpool` puts values back there:
    `p, places = x -> maxpool_indices(2)`, later `(p, places) -> maxunpool(2)`.
    """
    window = pool_window("maxpool_indices", x, size, stride, pad)
    return MaxPool(*window, ceil)(x), MaxPoolPlaces(*window, ceil)(x)


@layer("maxunpool")
def maxunpool(
    context: LayerContext,
    x: Node,
    places: Node,
    size: Ints = 2,
    stride: Ints = 0,
    pad: Padding = "valid",
    like: Node | None = None,
) -> Node:
    """Puts each element at its place from `maxpool_indices`, zeros elsewhere.

    Windows are described as they were for the pooling. The result has the sizes of `like`, which is
    what was pooled; without it, the least sizes that such a pooling can have come from.
    """
    pooled = like.type.shape[2:] if like is not None else None
    if like is not None and like.type.rank != x.type.rank:
        raise TypeRuleError(f"'maxunpool' cannot make {x.type} like {like.type}.", 0)
    if pooled is None and pad == "same":
        hint = "write like=x, where x is what was pooled"
        raise TypeRuleError("'maxunpool' with pad=same needs 'like'.", None, hint)
    kernel, steps, pads = pool_window("maxunpool", like or x, size, stride, pad)
    least = [
        (count - 1) * step + k - before - after
        for count, step, k, (before, after) in zip(
            x.type.shape[2:], steps, kernel, pads, strict=True
        )
    ]
    return MaxUnpool(kernel, steps, pads, pooled or tuple(least))(x, places)


# ---- nodes of ONNX ---------------------------------------------------------------------------


def foreign_places(pool: MaxPool, x: Node, by_columns: bool) -> Node:
    """Returns the places of the largest elements as ONNX numbers them: through the whole tensor.

    Args:
        pool: The pooling.
        x: What is pooled.
        by_columns: Whether the first spatial axis is the one along which numbers are neighbours.
    """
    places, sizes = MaxPoolPlaces.of(pool)(x), x.type.shape[2:]
    if by_columns:
        places = _by_columns(places, sizes)
    return Add()(places, _first_places(places, sizes))


def _first_places(places: Node, sizes: Shape) -> Node:
    """The number of the first element of each plane [N, C, ...], through the whole tensor."""
    planes = places.type.shape[:2]
    numbers = Mul()(CountUp(math.prod(planes))(), SizeValue(math.prod(sizes), DType.I64)())
    return Reshape((*planes, *[1] * len(sizes)))(numbers)


def _by_columns(places: Node, sizes: Shape) -> Node:
    """Places counted along the first axis first."""
    rest, result = places, literal(0, DType.I64)
    for axis in reversed(range(len(sizes))):
        size = SizeValue(sizes[axis], DType.I64)()
        own = Mod()(rest, size)
        before = SizeValue(math.prod(sizes[:axis]), DType.I64)()
        rest, result = Div()(rest, size), Add()(result, Mul()(own, before))
    return result


@reads("MaxUnpool")
def _read_max_unpool(call: Call) -> Node:
    """Elements go to any place, not only to that of their window; sizes may be given beyond."""
    x, places = call.tensor(0), call.tensor(1)
    kernel = call.ints("kernel_shape")
    stride, pads, _ = foreign_window(call, x.type.shape[2:], kernel)
    sizes = tuple(
        (count - 1) * step + k - before - after
        for count, step, k, (before, after) in zip(
            x.type.shape[2:], stride, kernel, pads, strict=True
        )
    )
    shape = (*x.type.shape[:2], *sizes)
    rows, whole = math.prod(shape[:2]), math.prod(sizes)
    inner = Sub()(places, _first_places(places, sizes))
    flat = (rows, math.prod(x.type.shape[2:]))
    empty = Expand((rows, whole))(literal(0, x.type.dtype))
    put = ScatterElements(1)(empty, Reshape(flat)(inner), Reshape(flat)(x))
    found = Reshape(shape)(put)
    wanted = call.sizes(2) if call.has(2) else shape
    beyond = tuple((0, int_size(want - size)) for want, size in zip(wanted, shape, strict=True))
    return Pad(beyond)(found) if wanted != shape else found
