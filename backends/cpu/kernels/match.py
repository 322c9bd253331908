"""Finds the steps that a native kernel can compute, and describes them to its generator."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dhc.backends.cpu.depthwise import (
    PackedDepthwise,
    PackedDepthwiseGrad,
    PackedDepthwiseTranspose,
)
from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.kernels.conv import ConvKernel, Skip, Tap
from dhc.backends.cpu.kernels.dense import dense_kernel
from dhc.backends.cpu.kernels.depthwise import DepthwiseKernel
from dhc.backends.cpu.kernels.depthwise_grad import DepthwiseGradKernel
from dhc.backends.cpu.kernels.epilogue import Epilogue, after, split_definition
from dhc.backends.cpu.kernels.finish import RowAxis
from dhc.backends.cpu.kernels.repack import repack_kernel
from dhc.backends.cpu.kernels.warp import WarpKernel, fits
from dhc.backends.cpu.kernels.weight_grad import Axis, WeightGradKernel
from dhc.backends.cpu.kernels.winograd import WinogradKernel
from dhc.backends.cpu.kernels.winograd_grad import WinogradGradKernel
from dhc.backends.cpu.layout import anchor, is_cast, operand_position
from dhc.backends.cpu.module import NativeKernel
from dhc.backends.cpu.packing import SUMMED, PackedConv, PackedDense
from dhc.backends.cpu.transposed import PackedConvTranspose, phase_stride
from dhc.backends.cpu.weight_grad import PackedWeightGrad
from dhc.ir.graph import Node, topological
from dhc.ir.scalar import Buffer
from dhc.ir.types import DType
from dhc.lower.to_kernels import definition, output_axes
from dhc.ops.region import Region
from dhc.ops.warp import AffineWarp

RESULTS = (DType.F32, DType.I32, DType.I8, DType.U8)  # what epilogues may make of it
SHORT_ROW = 8  # pixels of a row that is shorter than what registers hold


@dataclass(frozen=True)
class _Step:
    """A step around a convolution or dense layer.

    Attributes:
        node, inner: The step and, within it, the operator it is built around.
        source, weights: Which buffers are the operator's first two operands.
    """

    node: Node
    inner: Node
    buffers: tuple[Buffer, ...]
    source: int
    weights: int
    epilogue: Epilogue

    @property
    def channel_axis(self) -> int:
        """Where the channels of the input and of the output are."""
        return _channel_axis(self.inner)

    @property
    def is_float(self) -> bool:
        """Whether floats are summed, not integers."""
        return self.inner.type.dtype is DType.F32

    @property
    def source_strides(self) -> tuple[int, ...]:
        strides = self.buffers[self.source].strides
        return tuple(stride for stride in strides if isinstance(stride, int))


def native_kernel(node: Node, buffers: tuple[Buffer, ...], isa: Isa) -> NativeKernel | None:
    """Returns the native kernel of a step, or None where its definition must do."""
    if any(buffer.type.is_narrow for buffer in buffers):
        return None
    warped = _warp(node, buffers, isa)
    if warped is not None:
        return warped
    if isinstance(node.op, PackedWeightGrad):
        return _winograd_grad(node, node.op, buffers, isa) or _weight_grad(node, node.op, buffers)
    if isinstance(node.op, PackedDepthwiseGrad):
        return _depthwise_grad(node, node.op, buffers)
    repack = repack_kernel(node, buffers, isa)
    if repack is not None:
        return repack
    step = _step(node, buffers)
    if step is None or step.source_strides[step.channel_axis] != 1:
        return None
    match step.inner.op:
        case PackedConv() as conv:
            return _winograd(step, conv, isa) or _conv(step, conv)
        case PackedConvTranspose() as conv:
            return _transposed(step, conv)
        case PackedDense():
            return dense_kernel(
                output_axes(node.type), buffers, step.inner, step.source, step.weights,
                step.epilogue,
            )  # fmt: skip
        case PackedDepthwise() as conv if step.is_float:
            return _depthwise(step, conv)
        case PackedDepthwiseTranspose() as conv if step.is_float:
            return _depthwise_transposed(step, conv)
    return None


def _warp(node: Node, buffers: tuple[Buffer, ...], isa: Isa) -> WarpKernel | None:
    """A bilinear resampling of a picture that is read as it is stored."""
    parts = topological(node.op.body.roots) if isinstance(node.op, Region) else (node,)
    inner = next((part for part in parts if isinstance(part.op, AffineWarp)), None)
    if inner is None or node.type.rank != 3 or not isinstance(inner.op, AffineWarp):
        return None
    picture = inner.inputs[0].inputs[0] if is_cast(inner.inputs[0]) else inner.inputs[0]
    source = operand_position(node, picture)
    matrix = operand_position(node, inner.inputs[1])
    plain = inner.op.interpolation == "linear" and inner.type.dtype is DType.F32
    if source is None or matrix is None or not plain or inner.type.shape != node.type.shape:
        return None
    if not fits(buffers[0], buffers[source + 1], isa):
        return None
    channel, row, column = output_axes(node.type)
    fill = inner.op.fill if inner.op.border == "constant" else None
    return WarpKernel(
        "", buffers, (channel, row, column), source + 1, matrix + 1, fill,
        after(node, inner, buffers),
    )  # fmt: skip


def _step(node: Node, buffers: tuple[Buffer, ...]) -> _Step | None:
    inner = anchor(node)
    if inner is None or not _can_store(buffers[0], inner):
        return None
    source = operand_position(node, inner.inputs[0])
    weights = operand_position(node, inner.inputs[1])
    if source is None or weights is None:
        return None
    types = {inner.type.dtype, buffers[source + 1].type, buffers[weights + 1].type}
    if len(types) > 1 or inner.type.dtype not in SUMMED or buffers[0].type not in RESULTS:
        return None
    parts = split_definition(definition(node, buffers, ((),) * len(node.inputs)))
    return None if parts is None else _Step(node, inner, buffers, source + 1, weights + 1, parts[1])


def _can_store(out: Buffer, inner: Node) -> bool:
    """Whether neighbouring output channels are neighbours in memory."""
    channel = _channel_axis(inner)
    return out.strides[channel] == 1 or inner.type.shape[channel] == 1


def _channel_axis(inner: Node) -> int:
    return -1 if isinstance(inner.op, PackedDense) else 1


def _spatial(step: _Step, stride: tuple[int, ...]) -> tuple[RowAxis, ...]:
    """The batch and the spatial axes of the output, with the input's steps."""
    axes, shape = output_axes(step.node.type), step.node.type.static_shape
    strides = step.source_strides
    return (
        RowAxis(axes[0], shape[0], strides[0]),
        *(
            RowAxis(axes[k + 2], shape[k + 2], strides[k + 2] * moves)
            for k, moves in enumerate(stride)
        ),
    )


def _rows_and_pixel(axes: tuple[RowAxis, ...]) -> tuple[tuple[RowAxis, ...], RowAxis]:
    """The axis along which weights serve several pixels: the last one, unless that is too short."""
    place = len(axes) - 1
    if axes[-1].size < SHORT_ROW:
        place = max(range(1, len(axes)), key=lambda k: (axes[k].size, k))
    return (*axes[:place], *axes[place + 1 :]), axes[place]


def _taps(step: _Step, counts: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Tap, ...]:
    strides = step.source_strides[2:]
    return tuple(Tap(n, s * gap) for n, s, gap in zip(counts, strides, dilation, strict=True))


def _start(step: _Step, pads: tuple[tuple[int, int], ...]) -> int:
    """The first element read: the padding before lies in the halo."""
    strides = step.source_strides[2:]
    return -sum(before * stride for (before, _), stride in zip(pads, strides, strict=True))


def _conv(step: _Step, conv: PackedConv) -> ConvKernel:
    packed = step.inner.inputs[1].type.static_shape
    counts, channels, block = packed[1:-2], packed[-2], packed[-1]
    taps = _taps(step, counts, conv.dilation)
    merged = step.source_strides[-1] == channels and conv.dilation[-1] == 1
    if merged:  # the taps along a row and their channels are one run of memory
        taps, channels = taps[:-1], channels * counts[-1]
    rows, pixel = _rows_and_pixel(_spatial(step, conv.stride))
    return ConvKernel(
        "", step.buffers, rows, pixel, output_axes(step.node.type)[1],
        tuple(tap for tap in taps if tap.count > 1), channels, _start(step, conv.pads),
        conv.filters, block, step.source, step.weights, step.epilogue,
    )  # fmt: skip


def _winograd(step: _Step, conv: PackedConv, isa: Isa) -> WinogradKernel | None:
    """A convolution with fewer products, where it has the right form and is large enough."""
    _, *counts, channels, block = step.inner.inputs[1].type.static_shape
    plain = set(conv.stride) == set(conv.dilation) == {1}
    if counts != [3, 3] or not plain or not step.is_float:
        return None
    rows = _spatial(step, conv.stride)
    kernel = WinogradKernel(
        "", step.buffers, rows[:-1], rows[-1], output_axes(step.node.type)[1],
        _start(step, conv.pads), channels, conv.filters, block, step.source, step.weights,
        step.epilogue,
    )  # fmt: skip
    return kernel if kernel.fits(isa) else None


def _transposed(step: _Step, conv: PackedConvTranspose) -> ConvKernel:
    packed = step.inner.inputs[1].type
    counts, channels, block = conv.turns(packed), packed.static_shape[-2], packed.static_shape[-1]
    rows, pixel = _phases(step, conv)
    taps = _some_taps(_taps(step, counts, (1,) * len(counts)), conv)
    reach = tuple((count - 1, 0) for count in counts)
    return ConvKernel(
        "", step.buffers, rows, pixel, output_axes(step.node.type)[1],
        tuple(tap for tap in taps if tap.count > 1 or tap.skip), channels,
        _start(step, reach), conv.filters, block, step.source, step.weights, step.epilogue,
    )  # fmt: skip


def _some_taps(taps: tuple[Tap, ...], conv: PackedConvTranspose) -> tuple[Tap, ...]:
    """Loops over taps that leave out the first turn, the last tap, in phases that lack it."""
    rank = len(conv.stride)
    found = []
    for k, (tap, size, s, cut) in enumerate(
        zip(taps, conv.kernel, conv.stride, conv.cut, strict=True)
    ):
        bound = size - (tap.count - 1) * s
        skip = Skip(rank + k, cut, s, bound) if bound < s else None
        found.append(replace(tap, skip=skip))
    return tuple(found)


def _phases(
    step: _Step, conv: PackedConvTranspose | PackedDepthwiseTranspose
) -> tuple[tuple[RowAxis, ...], RowAxis]:
    """Phases are loops of their own: they choose weights and shift the output."""
    packed, rank = step.inner.inputs[1].type, len(conv.stride)
    axes, strides = output_axes(step.node.type), step.source_strides
    batch = RowAxis(axes[0], step.node.type.static_shape[0], strides[0])
    places = [
        RowAxis(axes[k + 2], size // s, strides[k + 2], scale=s)
        for k, (size, s) in enumerate(zip(conv.size, conv.stride, strict=True))
    ]
    phases = [
        RowAxis(
            axes[k + 2], s, strides[k + 2], shift=cut, divide=s,
            weights=phase_stride(packed, k, rank),
        )
        for k, (s, cut) in enumerate(zip(conv.stride, conv.cut, strict=True))
    ]  # fmt: skip
    return (batch, *places[:-1], *phases), places[-1]


def _gradient_reads(
    node: Node, grad: PackedWeightGrad | PackedDepthwiseGrad, buffers: tuple[Buffer, ...]
) -> tuple[tuple[Axis, ...], tuple[Tap, ...], int] | None:
    """The places, the taps and the first element of an input; None where channels are apart."""
    into_x, into_up = (_known_strides(buffer) for buffer in buffers[1:])
    plain = all(buffer.type is DType.F32 for buffer in buffers)
    if not plain or into_x[1] != 1 or into_up[1] != 1:
        return None
    counts = zip(grad.kernel, into_x[2:], grad.dilation, strict=True)
    taps = tuple(Tap(count, stride * gap) for count, stride, gap in counts)
    before = zip(grad.pads, into_x[2:], strict=True)
    start = -sum(pad * stride for (pad, _), stride in before)
    return _places(node.inputs[1], grad.stride, into_x, into_up), taps, start


def _weight_grad(
    node: Node, grad: PackedWeightGrad, buffers: tuple[Buffer, ...]
) -> WeightGradKernel | None:
    reads = _gradient_reads(node, grad, buffers)
    if reads is None:
        return None
    axes, taps, start = reads
    x, upstream = node.inputs
    run = x.type.static_shape[1]
    if _known_strides(buffers[1])[-1] == run and grad.dilation[-1] == 1:
        taps, run = taps[:-1], run * grad.kernel[-1]
    return WeightGradKernel(
        "", buffers, axes[:-1], axes[-1], tuple(tap for tap in taps if tap.count > 1), run, start,
        upstream.type.static_shape[1], grad.block, 1, 2,
    )  # fmt: skip


def _winograd_grad(
    node: Node, grad: PackedWeightGrad, buffers: tuple[Buffer, ...], isa: Isa
) -> WinogradGradKernel | None:
    """A gradient with fewer products, where it has the right form and is large enough."""
    reads = _gradient_reads(node, grad, buffers)
    plain = set(grad.stride) == set(grad.dilation) == {1}
    if reads is None or grad.kernel != (3, 3) or not plain:
        return None
    (batch, row, pixel), _, start = reads
    x, upstream = node.inputs
    kernel = WinogradGradKernel(
        "", buffers, batch, row, pixel, start, x.type.static_shape[1],
        upstream.type.static_shape[1], grad.block,
    )  # fmt: skip
    return kernel if kernel.fits(isa) else None


def _known_strides(buffer: Buffer) -> tuple[int, ...]:
    return tuple(stride for stride in buffer.strides if isinstance(stride, int))


def _depthwise(step: _Step, conv: PackedDepthwise) -> DepthwiseKernel:
    *counts, channels = step.inner.inputs[1].type.static_shape
    rows, pixel = _rows_and_pixel(_spatial(step, conv.stride))
    return DepthwiseKernel(
        "", step.buffers, rows, pixel, output_axes(step.node.type)[1],
        _taps(step, tuple(counts), conv.dilation), _start(step, conv.pads), channels,
        step.source, step.weights, step.epilogue,
    )  # fmt: skip


def _depthwise_transposed(step: _Step, conv: PackedDepthwiseTranspose) -> DepthwiseKernel:
    packed = step.inner.inputs[1].type
    counts = conv.turns(packed)
    rows, pixel = _phases(step, conv)
    reach = tuple((count - 1, 0) for count in counts)
    return DepthwiseKernel(
        "", step.buffers, rows, pixel, output_axes(step.node.type)[1],
        _taps(step, counts, (1,) * len(counts)), _start(step, reach), packed.static_shape[-1],
        step.source, step.weights, step.epilogue,
    )  # fmt: skip


def _depthwise_grad(
    node: Node, grad: PackedDepthwiseGrad, buffers: tuple[Buffer, ...]
) -> DepthwiseGradKernel | None:
    reads = _gradient_reads(node, grad, buffers)
    if reads is None:
        return None
    axes, taps, start = reads
    channels = node.type.static_shape[-1]
    return DepthwiseGradKernel(
        "", buffers, axes[:-1], axes[-1], taps, start, channels, 1, 2
    )  # fmt: skip


def _places(
    upstream: Node, stride: tuple[int, ...], into_x: tuple[int, ...], into_up: tuple[int, ...]
) -> tuple[Axis, ...]:
    """The batch and the spatial axes over which gradients are summed."""
    sizes = (upstream.type.static_shape[0], *upstream.type.static_shape[2:])
    steps = (into_x[0], *(s * m for s, m in zip(into_x[2:], stride, strict=True)))
    return tuple(map(Axis, sizes, steps, (into_up[0], *into_up[2:])))
