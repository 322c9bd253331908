"""How nodes are drawn: operators with what their samples say, and those that take any shape."""

from __future__ import annotations

from collections.abc import Sequence

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.ir.graph import Initializer, Node, Op
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Elementwise, layers, operators
from dhc.ops.conv import Conv
from dhc.ops.conv_transpose import ConvTranspose
from dhc.ops.cumulative import CumProd, CumSum
from dhc.ops.elementwise import Cast, Where
from dhc.ops.linear import Dense, MatMul
from dhc.ops.lookup import Gather, GatherElements
from dhc.ops.movement import Expand, Pad, Slice, Tile
from dhc.ops.pool import AveragePool, MaxPool
from dhc.ops.reduce import Reduction
from dhc.ops.sample import Sample
from dhc.ops.scatter import ScatterElements
from dhc.ops.shape import Concat, Permute, Reshape
from dhc.ops.softmax import LogSoftmax, Softmax
from dhc.ops.sort import ArgSort
from tests.random_graphs.drawing import Draw, Drawing

LEFT_OUT = {  # what passes make, ranks share, no two programs agree on, or is not the same in f64
    "region", "shared", "all_reduce", "all_reduce_start", "all_reduce_wait", "bucket_part",
    "random_normal", "random_uniform", "dropout", "map", "copy", "after", "round_bf16",
    "bitcast",
}  # fmt: skip
CASTS = (
    DType.F32, DType.F32, DType.F64, DType.F16, DType.I64, DType.I32, DType.U8, DType.BOOL,
)  # fmt: skip
FLOATS = (*[DType.F32] * 16, *[DType.F64] * 3, DType.F16)  # what is drawn where samples have f32


def _samples() -> list[tuple[str, list[Sample]]]:
    core = [o for o in operators.values() if o.__module__.startswith("dhc.ops.")]
    found = [(o.name, list(o.samples())) for o in core if o.name not in LEFT_OUT]
    return sorted((name, samples) for name, samples in found if samples)


SAMPLES = _samples()
POINTWISE = [(n, s) for n, s in SAMPLES if issubclass(operators[n], Elementwise)]
OTHERS = [(n, s) for n, s in SAMPLES if not issubclass(operators[n], Elementwise)]


# ---- what samples say ------------------------------------------------------------------------


def from_sample(drawing: Drawing) -> Node:
    """Any operator, as one of its samples has it, with inputs made to fit."""
    _, samples = drawing.chance.choice(OTHERS)
    return _fitted(drawing, drawing.chance.choice(samples))


def _fitted(drawing: Drawing, sample: Sample) -> Node:
    dtype = drawing.chance.choice(FLOATS)
    types = [t.with_dtype(dtype) if t.dtype is DType.F32 else t for t in sample.types]
    spans = [*sample.ranges, *[None] * (len(types) - len(sample.ranges))]
    pairs = zip(types, spans, strict=True)
    return sample.op(*(drawing.fitted(type, span) for type, span in pairs))


def pointwise(drawing: Drawing) -> Node | None:
    """An element-wise operator on a value of any shape, and others that fit it."""
    chance = drawing.chance
    _, samples = chance.choice(POINTWISE)
    sample = chance.choice(samples)
    first = drawing.any(lambda type: _takes(sample, type))
    if first is None:
        return _fitted(drawing, sample)
    spans = [*sample.ranges, *[None] * (len(sample.types) - len(sample.ranges))]
    shapes = [first.type.static_shape] + [
        _broadcast(drawing, first.type.static_shape) for _ in sample.types[1:]
    ]
    same = [t.dtype for t in sample.types]
    dtypes = [first.type.dtype if d is same[0] else d for d in same]
    inputs = [
        drawing.fitted(Tensor(d, s), r) for d, s, r in zip(dtypes, shapes, spans, strict=True)
    ]
    if spans[0] is None or chance.random() < 0.5:
        inputs[0] = first
    return sample.op(*inputs)


def _takes(sample: Sample, type: Tensor) -> bool:
    want = sample.types[0].dtype
    return type.dtype is want or (type.dtype.is_float and want.is_float)


def _broadcast(drawing: Drawing, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to another."""
    chance = drawing.chance
    if chance.random() < 0.4:
        return shape
    sizes = tuple(1 if chance.random() < 0.4 else size for size in shape)
    return sizes[chance.randint(0, len(sizes)) :]


# ---- any shape -------------------------------------------------------------------------------


def _has_axes(type: Tensor) -> bool:
    return type.rank > 0


def _float(type: Tensor) -> bool:
    return type.dtype.is_float and type.rank > 0


def reduction(drawing: Drawing) -> Node | None:
    """A reduction over some axes, or all."""
    chance = drawing.chance
    kinds = [o for _, o in sorted(operators.items()) if issubclass(o, Reduction)]
    others = ("argmax", "argmin", "reduce_std", "reduce_var", "reduce_logsumexp", "reduce_l2")
    kind = operators[chance.choice(others)] if chance.random() < 0.3 else chance.choice(kinds)
    x = drawing.any(_has_axes)
    if x is None:
        return None
    keepdims = chance.random() < 0.5
    if kind.name.startswith("arg"):
        return kind(drawing.pick_axis(x.type), keepdims)(x)  # type: ignore[call-arg]
    axes = tuple(a for a in range(x.type.rank) if chance.random() < 0.5)
    return kind(axes, keepdims)(x)  # type: ignore[call-arg]


def along_axis(drawing: Drawing) -> Node | None:
    """Softmax, running sums and the order of elements."""
    x = drawing.any(_float)
    if x is None:
        return None
    axis, chance = drawing.pick_axis(x.type), drawing.chance
    ends = (chance.random() < 0.5, chance.random() < 0.5)
    choices: Sequence[Op] = (
        Softmax(axis), LogSoftmax(axis), CumSum(axis, *ends), CumProd(axis, *ends),
        ArgSort(ends[0]),
    )  # fmt: skip
    return chance.choice(choices)(x)


def cast(drawing: Drawing) -> Node | None:
    """Another element type."""
    x = drawing.any()
    return Cast(drawing.chance.choice(CASTS))(x) if x is not None else None


def movement(drawing: Drawing) -> Node | None:
    """Elements elsewhere: reversed, left out, repeated, among others."""
    x = drawing.any(lambda type: type.rank > 0 and 0 not in type.shape)
    if x is None:
        return None
    chance, sizes = drawing.chance, x.type.static_shape
    rank = len(sizes)
    match chance.randrange(7):
        case 0:
            return Permute(tuple(chance.sample(range(rank), rank)))(x)
        case 1:
            return Reshape(_factors(drawing, sizes))(x)
        case 2:
            return _sliced(drawing, x)
        case 3:
            mode = chance.choice(("constant", "reflect", "replicate", "wrap"))
            most = [min(2, s - 1) for s in sizes]
            pads = tuple((chance.randint(0, m), chance.randint(0, m)) for m in most)
            value = chance.choice((0.0, 1.5, -1.0)) if x.type.dtype.is_float else 0.0
            return Pad(pads, mode, value if mode == "constant" else 0.0)(x)
        case 4:
            return Tile(tuple(chance.choice((1, 1, 2, 3)) for _ in sizes))(x)
        case 5:
            wanted = tuple(chance.choice((2, 3)) if s == 1 else s for s in sizes)
            return Expand((*drawing.shape(chance.randint(0, 1)), *wanted))(x)
    return _joined(drawing, x)


def _factors(drawing: Drawing, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The same number of elements in other sizes."""
    parts = [p for size in sizes for p in _primes(size)]
    drawing.chance.shuffle(parts)
    made = [1] * drawing.chance.randint(1, 4)
    for part in parts:
        made[drawing.chance.randrange(len(made))] *= part
    return tuple(made)


def _primes(number: int) -> list[int]:
    found = []
    for prime in (2, 3, 5, 7):
        while number % prime == 0:
            found.append(prime)
            number //= prime
    return [*found, number] if number > 1 else found


def _sliced(drawing: Drawing, x: Node) -> Node:
    starts, sizes, steps = [], [], []
    for size in x.type.static_shape:
        step = drawing.chance.choice((1, 1, 1, 2, 3, -1, -2))
        start = drawing.chance.randrange(size)
        room = (size - 1 - start) // step if step > 0 else start // -step
        starts.append(start)
        steps.append(step)
        sizes.append(drawing.chance.randint(1, room + 1))
    return Slice(tuple(starts), tuple(sizes), tuple(steps))(x)


def _joined(drawing: Drawing, x: Node) -> Node:
    axis = drawing.pick_axis(x.type)
    parts = [x]
    for _ in range(drawing.chance.randint(1, 2)):
        sizes = list(x.type.static_shape)
        sizes[axis] = drawing.chance.randint(1, 4)
        parts.append(drawing.fitted(x.type.with_shape(tuple(sizes))))
    drawing.chance.shuffle(parts)
    return Concat(axis)(*parts)


def lookup(drawing: Drawing) -> Node | None:
    """Elements at computed places, and elements written there."""
    x = drawing.any(lambda type: type.rank > 0 and 0 not in type.shape)
    if x is None:
        return None
    axis, chance, sizes = drawing.pick_axis(x.type), drawing.chance, list(x.type.static_shape)
    span = (float(-sizes[axis]), float(sizes[axis] - 1))
    kind = chance.choice((DType.I64, DType.I64, DType.I32))
    if chance.random() < 0.4:
        places = drawing.fitted(Tensor(kind, drawing.shape(chance.randint(0, 2))), span)
        return Gather(axis)(x, places)
    sizes[axis] = chance.randint(1, 4)
    places = drawing.fitted(Tensor(kind, tuple(sizes)), span)
    if chance.random() < 0.5:
        return GatherElements(axis)(x, places)
    ways = ("add", "max", "min", "none") if x.type.dtype is not DType.BOOL else ("none",)
    return ScatterElements(axis, chance.choice(ways))(
        x, places, drawing.fitted(x.type.with_shape(tuple(sizes)))
    )


def choice(drawing: Drawing) -> Node | None:
    """One of two values for each element."""
    x = drawing.any()
    if x is None:
        return None
    shape = x.type.static_shape
    condition = drawing.fitted(Tensor(DType.BOOL, _broadcast(drawing, shape)))
    return Where()(condition, x, drawing.fitted(Tensor(x.type.dtype, _broadcast(drawing, shape))))


# ---- networks --------------------------------------------------------------------------------


def products(drawing: Drawing) -> Node | None:
    """Products of matrices."""
    x = drawing.any(lambda type: type.dtype.is_float and type.rank > 1 and 0 not in type.shape)
    if x is None:
        return None
    *lead, _, inner = x.type.static_shape
    width = drawing.chance.randint(1, 9)
    if drawing.chance.random() < 0.5:
        lead = list(_broadcast(drawing, tuple(lead)))
        return MatMul()(x, drawing.fitted(Tensor(x.type.dtype, (*lead, inner, width))))
    weight = drawing.fitted(Tensor(x.type.dtype, (width, inner)))
    bias = [drawing.fitted(Tensor(x.type.dtype, (width,)))] * drawing.chance.randint(0, 1)
    return Dense()(x, weight, *bias)


def convolution(drawing: Drawing) -> Node | None:
    """Convolutions of one to three axes, and those back."""
    chance = drawing.chance
    n = chance.choice((1, 1, 2, 3))
    dtype = chance.choice(FLOATS)
    groups = chance.choice((1, 1, 1, 2, 3))
    inner, outer = chance.randint(1, 4), chance.randint(1, 5)
    size = {1: 12, 2: 9, 3: 5}[n]
    sizes = tuple(chance.randint(3, size) for _ in range(n))
    x = drawing.fitted(Tensor(dtype, (chance.randint(1, 2), inner * groups, *sizes)))
    kernel = tuple(chance.choice((1, 2, 3, 3)) for _ in range(n))
    stride = tuple(chance.choice((1, 1, 2, 3)) for _ in range(n))
    dilation = tuple(chance.choice((1, 1, 1, 2)) for _ in range(n))
    pads = tuple((chance.randint(0, 2), chance.randint(0, 2)) for _ in range(n))
    bias = [drawing.fitted(Tensor(dtype, (outer * groups,)))] * chance.randint(0, 1)
    if chance.random() < 0.7:
        weight = drawing.fitted(Tensor(dtype, (outer * groups, inner, *kernel)))
        return Conv(stride, pads, dilation, groups)(x, weight, *bias)
    weight = drawing.fitted(Tensor(dtype, (inner * groups, outer, *kernel)))
    more = tuple(chance.randrange(s) for s in stride)
    return ConvTranspose(stride, pads, more, dilation, groups)(x, weight, *bias)


def pooling(drawing: Drawing) -> Node | None:
    """Pools of images that convolutions may have made."""
    chance = drawing.chance
    x = drawing.any(lambda type: type.dtype.is_float and type.rank in (3, 4, 5))
    if x is None or min(x.type.static_shape) < 1:
        return None
    n = x.type.rank - 2
    kernel = tuple(chance.choice((1, 2, 3)) for _ in range(n))
    stride = tuple(chance.choice((1, 2, 3)) for _ in range(n))
    pads = tuple((chance.randint(0, k // 2), chance.randint(0, k // 2)) for k in kernel)
    if chance.random() < 0.5:
        return AveragePool(kernel, stride, pads, chance.random() < 0.3)(x)
    return MaxPool(kernel, stride, pads, chance.random() < 0.3)(x)


class _Weights:
    """What layers ask for: new weights of the drawing."""

    def __init__(self, drawing: Drawing) -> None:
        self._drawing = drawing

    def param(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        trainable: bool = True,
        dtype: DType = DType.F32,
    ) -> Node:
        return self._drawing.leaf(Tensor(dtype, shape), (-1.0, 1.0))

    def stream(self) -> str:
        return "stream"


def recurrent(drawing: Drawing) -> Node | None:
    """A layer that remembers, over all steps or for the last one."""
    chance = drawing.chance
    n, steps, features = chance.randint(1, 3), chance.randint(1, 5), chance.randint(1, 4)
    x = drawing.fitted(Tensor(DType.F32, (n, steps, features)))
    lengths = drawing.fitted(Tensor(DType.I64, (n,)), (1.0, float(steps)))
    layer = layers[chance.choice(("rnn", "lstm", "gru"))].function
    made = layer(
        _Weights(drawing), x, chance.randint(1, 4), lengths if chance.random() < 0.4 else None,
        bidirectional=chance.random() < 0.3, reverse=False,
        give=chance.choice(("sequence", "last")),
    )  # fmt: skip
    return made[0] if isinstance(made, tuple) else made


FAMILIES: Sequence[tuple[float, Draw]] = (
    (6, pointwise), (4, from_sample), (2, reduction), (1, along_axis), (1, cast), (3, movement),
    (1, lookup), (1, choice), (1, products), (1.5, convolution), (0.7, pooling), (0.3, recurrent),
)  # fmt: skip
