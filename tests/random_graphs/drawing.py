"""Random graphs that are well typed: one number says all of a graph."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dhc.ir.graph import Array, Graph, Initializer, Input, Node, Param, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Sigmoid
from dhc.ops.base import TypeRuleError
from dhc.ops.compare import Greater
from dhc.ops.elementwise import Add, Cast, Mod, Mul
from dhc.ops.movement import Pad, Slice, Tile
from dhc.ops.sample import Range
from dhc.ops.shape import Reshape
from tests.random_graphs.meaning import Meanings, sinks

SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9)
DTYPES = (
    *[DType.F32] * 10, *[DType.F64] * 2, *[DType.I64] * 2, *[DType.I32] * 2,
    DType.U8, *[DType.BOOL] * 2, DType.F16,
)  # fmt: skip
USUAL = (-2.0, 2.0)


@dataclass
class Drawing:
    """A graph while it is drawn.

    Attributes:
        chance: Where all of it comes from.
        pool: The values there are so far; all of them have been found sane.
    """

    chance: random.Random
    meanings: Meanings = field(default_factory=Meanings)
    pool: list[Node] = field(default_factory=list)
    leaves: list[Node] = field(default_factory=list)

    # ---- leaves ------------------------------------------------------------------------------

    def leaf(self, type: Tensor, span: Range = USUAL) -> Node:
        """An input, or a weight, with values of a range."""
        number = len(self.leaves)
        weight = type.dtype.is_float and type.rank > 0 and self.chance.random() < 0.3
        name = f"w{number}" if weight else f"x{number}"
        made = Param(name, type, Initializer("truncated_normal")) if weight else Input(name, type)
        self.meanings.leaves[name] = _values(type, span, self.chance.randrange(1 << 30))
        self.leaves.append(made())
        return made()

    def shape(self, rank: int | None = None) -> tuple[int, ...]:
        """Sizes whose product is not large; seldom is one of them 0."""
        rank = self.chance.choice((0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5)) if rank is None else rank
        while True:
            sizes = tuple(self.chance.choices(SIZES, k=rank))
            if int(np.prod(sizes)) <= 400:
                break
        if rank and self.chance.random() < 0.01:
            place = self.chance.randrange(rank)
            return (*sizes[:place], 0, *sizes[place + 1 :])
        return sizes

    # ---- nodes -------------------------------------------------------------------------------

    def any(self, test: Callable[[Tensor], bool] = lambda type: True) -> Node | None:
        """One of the values so far whose type passes a test; later ones more often."""
        found = [node for node in self.pool if test(node.type)]
        return found[int(len(found) * self.chance.random() ** 0.6)] if found else None

    def keep(self, node: Node) -> bool:
        """Takes a value into the pool, if it can be compared."""
        if node in self.pool or not self.meanings.take(node):
            return False
        self.pool.append(node)
        return True

    def fitted(self, type: Tensor, span: Range | None = None) -> Node:
        """A value of this type and range, from what is there, or a new leaf."""
        source = self.any(lambda each: 0 not in each.shape)
        if source is None or 0 in type.shape or self.chance.random() < 0.3:
            return self.leaf(type, span or USUAL)
        same = self.any(lambda each: each == type)
        if same is None or self.chance.random() < 0.2:
            same = _with_shape(_with_dtype(source, type.dtype), type.static_shape)
        return _within(same, span)

    def pick_axis(self, type: Tensor) -> int:
        """An axis, counted from either end."""
        return self.chance.randrange(-type.rank, type.rank)


Draw = Callable[[Drawing], Node | None]


def draw_graph(seed: int, families: Sequence[tuple[float, Draw]]) -> tuple[Graph, Meanings]:
    """Returns the graph of a number, and what its nodes compute."""
    drawing = Drawing(random.Random(seed))
    chance = drawing.chance
    for _ in range(chance.randint(1, 3)):
        type = Tensor(chance.choice(DTYPES), drawing.shape())
        drawing.pool.append(drawing.leaf(type))
    wanted, tries = chance.randint(1, 12), 0
    weights, draws = zip(*families, strict=True)
    while wanted > 0 and tries < 60:
        tries += 1
        wanted -= _one(drawing, chance.choices(draws, weights)[0])
    return _finished(seed, drawing), drawing.meanings


def _one(drawing: Drawing, draw: Draw) -> bool:
    try:
        node = draw(drawing)
    except TypeRuleError:
        return False
    return node is not None and drawing.keep(node)


def _finished(seed: int, drawing: Drawing) -> Graph:
    """All values that nothing reads are outputs, and some others."""
    computed = [node for node in drawing.pool if node.inputs] or [_doubled(drawing.pool[0])]
    ends = sinks(computed)
    inner = [n for n in computed if n not in ends and drawing.chance.random() < 0.15]
    outputs = tuple((f"y{k}", node) for k, node in enumerate((*ends, *inner)))
    inputs = tuple(leaf for leaf in drawing.leaves if isinstance(leaf.op, Input))
    return Graph(f"random{seed}", inputs, outputs)


def _doubled(node: Node) -> Node:
    return Cast(DType.F32)(node)


def _values(type: Tensor, span: Range, seed: int) -> Array:
    chance = np.random.default_rng(seed)
    if type.dtype is DType.BOOL:
        return chance.integers(0, 2, type.static_shape).astype(np.bool_)
    if type.dtype.is_integer:
        low = int(span[0]) if type.dtype.is_signed else max(int(span[0]), 0)
        return chance.integers(low, int(span[1]) + 1, type.static_shape).astype(type.dtype.numpy)
    return np.asarray(chance.uniform(*span, type.static_shape)).astype(type.dtype.numpy)


# ---- making values fit -----------------------------------------------------------------------


def _with_dtype(node: Node, dtype: DType) -> Node:
    if node.type.dtype is dtype:
        return node
    if dtype is DType.BOOL:
        limit = 0.1 if node.type.dtype.is_float else 0
        return Greater()(node, literal(limit, node.type.dtype))
    if node.type.dtype.is_float and dtype.is_integer and not dtype.is_signed:
        node = Mul()(node, node)  # what is below zero has no place there
    return Cast(dtype)(node)


def _with_shape(node: Node, shape: tuple[int, ...]) -> Node:
    """Parts of a value, or more than one of it."""
    if node.type.rank != len(shape):
        flat = Reshape((int(np.prod(node.type.static_shape)),))(node)
        return Reshape(shape)(_with_shape(flat, (int(np.prod(shape)),)))
    sizes = node.type.static_shape
    if sizes == shape:
        return node
    pads = tuple((0, max(want - have, 0)) for want, have in zip(shape, sizes, strict=True))
    if any(after for _, after in pads):
        repeats = tuple(-(-want // have) for want, have in zip(shape, sizes, strict=True))
        once = all(after < have for (_, after), have in zip(pads, sizes, strict=True))
        node = Pad(pads, "wrap")(node) if once else Tile(repeats)(node)
    if node.type.shape == shape:
        return node
    return Slice((0,) * len(shape), shape, (1,) * len(shape))(node)


def _within(node: Node, span: Range | None) -> Node:
    """Values squeezed into a range."""
    if span is None or node.type.dtype is DType.BOOL:
        return node
    dtype, (low, high) = node.type.dtype, span
    if dtype.is_float:
        part = Mul()(Sigmoid()(node), literal(high - low, dtype))
        return Add()(part, literal(low, dtype))
    low = int(low) if dtype.is_signed else max(int(low), 0)
    most = int(np.iinfo(dtype.numpy).max)
    rest = Mod()(node, literal(min(int(high) + 1 - low, most), dtype))
    return Add()(rest, literal(low, dtype)) if low else rest
