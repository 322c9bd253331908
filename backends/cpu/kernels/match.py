"""Finds the steps that a native kernel can compute, and describes them to its generator."""

from __future__ import annotations

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.kernels.conv import ConvKernel, RowAxis, Tap
from dhc.backends.cpu.kernels.epilogue import split_definition
from dhc.backends.cpu.layout import anchor, operand_position
from dhc.backends.cpu.module import NativeKernel
from dhc.backends.cpu.packing import PackedConv, PackedDense
from dhc.ir.graph import Node
from dhc.ir.scalar import Buffer
from dhc.ir.types import DType
from dhc.lower.to_kernels import definition, output_axes


def native_kernel(node: Node, buffers: tuple[Buffer, ...], isa: Isa) -> NativeKernel | None:
    """Returns the native kernel of a step, or None where its definition must do."""
    found = anchor(node)
    if found is None or any(b.type is not DType.F32 for b in (buffers[0], *buffers[1:3])):
        return None
    source = operand_position(node, found.inputs[0])
    weights = operand_position(node, found.inputs[1])
    if source is None or weights is None or not isinstance(found.op, (PackedConv, PackedDense)):
        return None
    if not _can_store(buffers[0], found):
        return None
    parts = split_definition(definition(node, buffers, ((),) * len(node.inputs)))
    if parts is None:
        return None
    describe = _conv if isinstance(found.op, PackedConv) else _dense
    return describe(node, found, buffers, source + 1, weights + 1)


def _can_store(out: Buffer, found: Node) -> bool:
    """Whether neighbouring output channels are neighbours in memory."""
    channels = found.type.static_shape[1]
    return out.strides[1] == 1 or channels == 1


def _conv(
    node: Node, found: Node, buffers: tuple[Buffer, ...], source: int, weights: int
) -> ConvKernel | None:
    conv = found.op
    assert isinstance(conv, PackedConv)
    strides = _integers(buffers[source].strides)
    if strides[1] != 1:
        return None
    packed = found.inputs[1].type.static_shape
    taps, channels, block = packed[1:-2], packed[-2], packed[-1]
    merged = strides[-1] == channels and conv.dilation[-1] == 1
    loops = [
        Tap(count, step * gap)
        for count, step, gap in zip(taps, strides[2:], conv.dilation, strict=True)
    ]
    run = channels * taps[-1] if merged else channels
    axes, shape = output_axes(node.type), node.type.static_shape
    spatial = [
        RowAxis(axis, size, step * move)
        for axis, size, step, move in zip(
            axes[2:], shape[2:], strides[2:], conv.stride, strict=True
        )
    ]
    start = -sum(before * step for (before, _), step in zip(conv.pads, strides[2:], strict=True))
    parts = split_definition(definition(node, buffers, ((),) * len(node.inputs)))
    assert parts is not None
    return ConvKernel(
        "", buffers, (RowAxis(axes[0], shape[0], strides[0]), *spatial[:-1]), spatial[-1], axes[1],
        tuple(t for t in (loops[:-1] if merged else loops) if t.count > 1), run, start,
        shape[1], block, source, weights, parts[1],
    )  # fmt: skip


def _dense(
    node: Node, found: Node, buffers: tuple[Buffer, ...], source: int, weights: int
) -> ConvKernel | None:
    channels, block = found.inputs[1].type.static_shape[-2:]
    rows, units = _integers(buffers[source].strides), node.type.static_shape
    if rows[1] != 1:
        return None
    axes = output_axes(node.type)
    parts = split_definition(definition(node, buffers, ((),) * len(node.inputs)))
    assert parts is not None
    pixel = RowAxis(axes[0], units[0], rows[0])
    return ConvKernel(
        "", buffers, (), pixel, axes[1], (), channels, 0, units[1], block, source, weights, parts[1]
    )


def _integers(values: tuple[object, ...]) -> tuple[int, ...]:
    assert all(isinstance(value, int) for value in values)
    return tuple(value for value in values if isinstance(value, int))
