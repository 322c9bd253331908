"""Where tensors lie: channels last, with a halo of zeros as wide as their readers' padding.

Inputs and outputs of the program stay as callers have them, dense in row-major order. Inputs of a
concatenation are written straight into their slices of its memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dhc.backends.cpu.depthwise import (
    PackDepthwise,
    PackDepthwiseTransposed,
    PackedDepthwise,
    PackedDepthwiseGrad,
    PackedDepthwiseTranspose,
    UnpackDepthwise,
)
from dhc.backends.cpu.packing import Pack, PackedConv, PackedDense, PackMatrix
from dhc.backends.cpu.transposed import PackedConvTranspose, PackTransposed
from dhc.backends.cpu.weight_grad import PackedWeightGrad, Unpack
from dhc.ir.graph import Constant, Graph, Input, Node, Param, topological, users
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.scalar import Buffer
from dhc.ops.base import Elementwise
from dhc.ops.collective import BucketPart
from dhc.ops.conv import Conv
from dhc.ops.conv_grad import ConvWeightGrad
from dhc.ops.elementwise import Cast
from dhc.ops.linear import Dense, MatMul
from dhc.ops.region import Region
from dhc.ops.shape import Concat, Copy, Permute, Reshape
from dhc.ops.warp import AffineWarp
from dhc.passes.manager import Pass

Halo = tuple[int, ...]  # one width for each spatial axis
WINDOWS = (
    PackedConv,
    PackedConvTranspose,
    PackedWeightGrad,
    PackedDepthwise,
    PackedDepthwiseTranspose,
    PackedDepthwiseGrad,
    Conv,
)  # read windows of an image, over its edges too
SCATTERED = (PackedConv, PackedConvTranspose, PackedDepthwise, PackedDepthwiseTranspose)
ANCHORS = (*WINDOWS, PackedDense)
MAKES_WEIGHTS = (
    Pack,
    PackMatrix,
    PackTransposed,
    PackDepthwise,
    PackDepthwiseTransposed,
    Unpack,
    UnpackDepthwise,
    PackedWeightGrad,
    PackedDepthwiseGrad,
    ConvWeightGrad,
)
MOVES_AXES = (Reshape, Permute, Pack, PackMatrix, PackedDense, MatMul, Dense)


@dataclass(frozen=True)
class Place:
    """A tensor's place: a storage that may be shared, and where in it the tensor begins.

    Attributes:
        owner: The node whose storage it is.
        channel: First channel within the storage.
    """

    owner: Node
    channel: int = 0


@dataclass(frozen=True)
class Geometry:
    """How a storage of [N, C, *spatial] lies in memory."""

    shape: tuple[int, ...]
    halo: Halo

    @property
    def strides(self) -> tuple[int, ...]:
        """Elements between neighbours along each logical axis."""
        step = self.shape[1]
        spatial: list[int] = []
        for size, width in zip(reversed(self.shape[2:]), reversed(self.halo), strict=True):
            spatial.append(step)
            step *= size + 2 * width
        return (step, 1, *reversed(spatial))

    @property
    def size(self) -> int:
        """Elements of the whole storage."""
        padded = [s + 2 * h for s, h in zip(self.shape[2:], self.halo, strict=True)]
        return self.shape[0] * self.shape[1] * math.prod(padded)

    @property
    def start(self) -> int:
        """Elements before logical element 0."""
        return sum(h * s for h, s in zip(self.halo, self.strides[2:], strict=True))


def anchor(node: Node) -> Node | None:
    """The convolution or dense layer that a step is built around, with its operands' own nodes."""
    if isinstance(node.op, ANCHORS):
        return node
    if isinstance(node.op, Region):
        for inner in topological(node.op.body.roots):
            if isinstance(inner.op, ANCHORS):
                return inner
    return None


def operand_position(node: Node, inner: Node) -> int | None:
    """Which input of a step is `inner`, an operand of its anchor; None if it is computed inside."""
    if not isinstance(node.op, Region):
        return node.inputs.index(inner)
    return int(inner.op.label) if isinstance(inner.op, Input) else None


def is_cast(node: Node) -> bool:
    """Whether a node only converts its input."""
    return isinstance(node.op, Cast)


def reads_pixels(node: Node, source: Node) -> bool:
    """Whether a step resamples `source`, so that all channels of a pixel are read together."""
    if node.inputs.count(source) != 1:
        return False
    if not isinstance(node.op, Region):
        return isinstance(node.op, AffineWarp) and node.inputs[0] is source
    leaf = node.op.body.inputs[node.inputs.index(source)]
    warps = [p for p in topological(node.op.body.roots) if isinstance(p.op, AffineWarp)]
    return any(
        warp.inputs[0] is leaf or (is_cast(warp.inputs[0]) and warp.inputs[0].inputs[0] is leaf)
        for warp in warps
    )


@dataclass(frozen=True)
class CopyEdges(Pass):
    """Copies inputs that convolutions read, and outputs that they would have to write scattered."""

    name: ClassVar[str] = "copy_edges"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        read = {source for node in topological(graph.roots) for source in _halo_sources(node)}

        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            new = rebuild(node, inputs)
            if isinstance(node.op, Input) and node in read:
                return Copy("channels_last")(new)
            return new

        copied = transform(graph, step)
        outputs = tuple((name, _readable(name, node)) for name, node in copied.outputs)
        inputs = tuple(n.inputs[0] if isinstance(n.op, Copy) else n for n in copied.inputs)
        return replace(copied, inputs=inputs, outputs=outputs)


def _readable(name: str, node: Node) -> Node:
    found = anchor(node)
    scattered = found is not None and isinstance(found.op, SCATTERED)
    plane = math.prod(node.type.static_shape[2:])
    if scattered and plane > 1 and node.type.shape[1] != 1:
        return Copy(name)(node)
    return Copy(name)(node) if isinstance(node.op, Concat) else node


def _halo_sources(node: Node) -> list[Node]:
    """The step's inputs that its convolution reads with padding."""
    found = anchor(node)
    if found is None or not isinstance(found.op, WINDOWS):
        return []
    position = operand_position(node, found.inputs[0])
    return [] if position is None else [node.inputs[position]]


@dataclass
class Layout:
    """The places of all computed tensors of a graph."""

    images: frozenset[Node] = frozenset()
    places: dict[Node, Place] = field(default_factory=dict)
    halos: dict[Node, Halo] = field(default_factory=dict)  # by owner

    def geometry(self, node: Node) -> Geometry:
        owner = self.places[node].owner
        return Geometry(owner.type.static_shape, self.halos[owner])

    def buffer(self, node: Node, name: str) -> Buffer:
        strides = self.geometry(node).strides
        return Buffer(name, node.type.dtype, node.type.static_shape, strides)


def find_images(graph: Graph) -> frozenset[Node]:
    """The tensors with channels and spatial axes, [N, C, ...], but for weights and their gradients.

    Those are what convolutions read and write, and what is computed from them, or they from it,
    along the same axes; others, such as sequences and matrices, stay in row-major order. What is
    computed from weights element by element, such as their new values, lies as they do.
    """
    weights: set[Node] = set()
    for node in topological(graph.roots):
        if isinstance(node.op, (Param, Constant, BucketPart)) or _makes_weights(node, weights):
            weights.add(node)
    nodes = list(topological((*graph.inputs, *graph.roots)))
    return frozenset(_reached(nodes) - weights)


def _reached(nodes: Sequence[Node]) -> set[Node]:
    """What has the axes of an image that a convolution reads, or of one that it writes."""
    alike: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for source in _with_same_axes(node):
            alike[node].append(source)
            alike[source].append(node)
    found = {image for node in nodes for image in _images_of(node)}
    waiting = list(found)
    while waiting:
        new = [node for node in alike[waiting.pop()] if node not in found]
        found.update(new)
        waiting.extend(new)
    return found


def _with_same_axes(node: Node) -> Sequence[Node]:
    """The inputs of a step of which each axis is that axis of its result."""
    inside = topological(node.op.body.roots) if isinstance(node.op, Region) else (node,)
    moves = any(isinstance(part.op, MOVES_AXES) for part in inside)
    return [] if moves else [each for each in node.inputs if each.type.rank == node.type.rank]


def _images_of(node: Node) -> Sequence[Node]:
    """What a step reads windows of, and what has as many axes as that."""
    found = anchor(node)
    if found is None or not isinstance(found.op, WINDOWS):
        return []
    rank = found.inputs[0].type.rank
    return [each for each in (node, *node.inputs) if each.type.rank == rank]


def _makes_weights(node: Node, weights: set[Node]) -> bool:
    """Whether a step makes weights: packed ones, gradients, or elementwise of others."""
    inside = topological(node.op.body.roots) if isinstance(node.op, Region) else (node,)
    parts = [part for part in inside if part.inputs]
    if any(isinstance(part.op, MAKES_WEIGHTS) for part in parts):
        return True
    if not all(_is_pointwise(part) for part in parts):
        return False
    same = [source for source in node.inputs if source.type.shape == node.type.shape]
    return bool(same) and all(source in weights for source in same)


def _is_pointwise(node: Node) -> bool:
    return isinstance(node.op, (Elementwise, Copy))


def is_channel_concat(node: Node) -> bool:
    """Whether a node puts channels together, which lie next to each other in memory."""
    return isinstance(node.op, Concat) and node.op.axis % node.type.rank == 1


def make_layout(graph: Graph) -> Layout:
    """Decides the place and halo of every computed tensor with spatial axes."""
    layout = Layout(find_images(graph))
    order = [n for n in topological(graph.roots) if n.inputs and n in layout.images]
    outputs = set(graph.roots)
    for node in order:
        layout.places.setdefault(node, Place(node))
    for node in order:
        if is_channel_concat(node):
            _share(node, layout, outputs)
    readers = users(graph.roots)
    for node in order:
        _widen(layout, node, _needed(node, readers[node]))
    return layout


def _share(concat: Node, layout: Layout, outputs: set[Node]) -> None:
    """Places the inputs of a concatenation inside it, where nothing else has a claim on them."""
    start = 0
    for source in concat.inputs:
        place = layout.places.get(source)
        free = place is not None and place.owner is source and source not in outputs
        if free and not _owns_others(layout, source) and concat.inputs.count(source) == 1:
            layout.places[source] = Place(concat, start)
        start += source.type.static_shape[1]


def _owns_others(layout: Layout, node: Node) -> bool:
    return any(p.owner is node and other is not node for other, p in layout.places.items())


def _needed(node: Node, readers: list[Node]) -> Halo:
    """The widest padding with which a convolution reads the tensor."""
    halo = [0] * (node.type.rank - 2)
    for reader in readers:
        found = anchor(reader)
        if node in _halo_sources(reader):
            assert found is not None
            assert isinstance(found.op, WINDOWS)
            halo = [max(h, *pads) for h, pads in zip(halo, found.op.pads, strict=True)]
    return tuple(halo)


def _widen(layout: Layout, node: Node, needed: Halo) -> None:
    owner = layout.places[node].owner
    known = layout.halos.get(owner, (0,) * len(needed))
    layout.halos[owner] = tuple(max(a, b) for a, b in zip(known, needed, strict=True))


def weight_buffer(node: Node, name: str, readers: list[Node]) -> tuple[Buffer, int]:
    """A weight's buffer and size: channels innermost where a grouped convolution reads it."""
    shape = node.type.static_shape
    assert isinstance(node.op, Param) or not node.inputs
    order = list(range(len(shape)))
    if any(_is_grouped_weight(node, reader) for reader in readers):
        order = [*order[1:], 0]
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= shape[axis]
    return Buffer(name, node.type.dtype, shape, tuple(strides)), step


def _is_grouped_weight(node: Node, reader: Node) -> bool:
    found = anchor(reader)
    if found is None or not isinstance(found.op, Conv):
        return False
    position = operand_position(reader, found.inputs[1])
    return position is not None and reader.inputs[position] is node
