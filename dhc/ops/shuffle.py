"""Channels that change places: with pixels, and among groups."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.ir.graph import Node
from dhc.ir.types import Tensor
from dhc.ops.base import Composite, Onnx, TypeRuleError, op
from dhc.ops.conv import int_size
from dhc.ops.foreign import Call
from dhc.ops.outward import Outward, Term
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Permute, Reshape

_MODES = {"DCR": True, "CRD": False}


def _check(name: str, x: Node, factor: int) -> None:
    if x.type.rank < 3 or factor < 1:
        raise TypeRuleError(f"'{name}' needs an input [N, C, ...] and a factor of 1 or more.", 0)


@op("pixel_shuffle", onnx=Onnx("DepthToSpace", since=13))
class PixelShuffle(Composite):
    """Channels as pixels: [N, C * f^2, H, W] in, [N, C, H * f, W * f] out (arXiv:1609.05158).

    Attributes:
        factor: How many pixels a block has along each spatial axis, of which there may be any.
        blocks_first: Whether the places within a block come before the channels.
    """

    factor: int
    blocks_first: bool = False

    def expand(self, x: Node) -> Node:
        _check(self.name, x, self.factor)
        batch, whole, *space = x.type.shape
        axes, f = len(space), self.factor
        if int_size(whole) % f**axes:
            raise TypeRuleError(f"'{self.name}' makes blocks of {f**axes} of {whole} channels.", 0)
        channels = int_size(whole) // f**axes
        blocks, spatial = range(axes), range(axes + 2, 2 * axes + 2)
        own = (channels, *[f] * axes) if not self.blocks_first else (*[f] * axes, channels)
        first, channel = (2, 1) if not self.blocks_first else (1, axes + 1)
        order = [0, channel]
        for block, place in zip(blocks, spatial, strict=True):
            order += [place, first + block]
        split = Permute(tuple(order))(Reshape((batch, *own, *space))(x))
        return Reshape((batch, channels, *(size * f for size in space)))(split)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As a node where there are two spatial axes."""
        if inputs[0].type.rank != 4:
            return out.expanded(self, *inputs)
        mode = "DCR" if self.blocks_first else "CRD"
        return out.node("DepthToSpace", inputs, result, blocksize=self.factor, mode=mode)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.get("blocksize", 1), _mode(call))(call.tensor(0))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plane, line = sample(cls(2, True), "f32[2, 8, 2, 3]"), sample(cls(3), "f32[2, 6, 4]")
        return [sample(cls(2), "f32[1, 8, 3, 2]"), plane, line]


@op("pixel_unshuffle", onnx=Onnx("SpaceToDepth", since=13))
class PixelUnshuffle(Composite):
    """Pixels as channels, the opposite of `pixel_shuffle`; the sizes are multiples of the factor.

    Attributes:
        factor, blocks_first: As of `pixel_shuffle`.
    """

    factor: int
    blocks_first: bool = False

    def expand(self, x: Node) -> Node:
        _check(self.name, x, self.factor)
        batch, channels, *space = x.type.shape
        axes, f = len(space), self.factor
        smaller = [size // f for size in space]
        pairs = [each for size in smaller for each in (size, f)]
        places, blocks = range(2, 2 * axes + 2, 2), range(3, 2 * axes + 3, 2)
        own = (*blocks, 1) if self.blocks_first else (1, *blocks)
        moved = Permute((0, *own, *places))(Reshape((batch, channels, *pairs))(x))
        return Reshape((batch, channels * f**axes, *smaller))(moved)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """As a node where ONNX has one: of two spatial axes, and with blocks first."""
        if inputs[0].type.rank != 4 or not self.blocks_first:
            return out.expanded(self, *inputs)
        return out.node("SpaceToDepth", inputs, result, blocksize=self.factor)

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        return cls(call.get("blocksize", 1), _mode(call))(call.tensor(0))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plane, line = sample(cls(2, True), "f32[2, 3, 4, 6]"), sample(cls(3), "f32[2, 2, 6]")
        return [sample(cls(2), "f32[1, 2, 2, 4]"), plane, line]


@op("channel_shuffle")
class ChannelShuffle(Composite):
    """Channels of all groups by turns: 0, C / g, 2 C / g, ..., 1, ... (arXiv:1707.01083).

    Attributes:
        groups: How many groups the C channels of [N, C, ...] are.
    """

    groups: int

    def expand(self, x: Node) -> Node:
        _check(self.name, x, self.groups)
        batch, channels, *space = x.type.shape
        if int_size(channels) % self.groups:
            raise TypeRuleError(f"'{self.name}' has no {self.groups} groups of {channels}.", 0)
        split = (batch, self.groups, int_size(channels) // self.groups, *space)
        order = (0, 2, 1, *range(3, x.type.rank + 1))
        return Reshape(x.type.shape)(Permute(order)(Reshape(split)(x)))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample(cls(2), "f32[2, 6, 2, 3]"), sample(cls(3), "f32[1, 6, 4]")]


def _mode(call: Call) -> bool:
    """Whether the places within a block come before the channels."""
    return _MODES[call.word("mode", "DCR", _MODES)]
