"""The gradient of average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node
from dhc.ir.scalar import Scalar, reduce_over, select
from dhc.ir.scalar import index as to_index
from dhc.ir.size import Size, static, unify
from dhc.ir.types import Tensor
from dhc.ops.base import (
    Array,
    Index,
    Operand,
    Structured,
    TypeRuleError,
    axis_variable,
    op,
)
from dhc.ops.conv import Pads
from dhc.ops.pool import AveragePool
from dhc.ops.sample import Sample, sample


@op("average_pool_grad")
class AveragePoolGrad(Structured):
    """The transpose of average pooling: each element is spread evenly over its window.

    `result[i]` is the sum of `upstream[w] / count[w]` over the windows w that cover place i, where
    the pooling divides by `count[w]`; upstream is [N, C, *windows], the result [N, C, *size].

    Attributes:
        kernel, stride, pads, ceil, count_include_pad, dilation: As of the pooling.
        size: The spatial sizes of what was pooled.
    """

    untold: ClassVar[str] = "training alone needs it"

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    size: tuple[Size, ...]
    ceil: bool = False
    count_include_pad: bool = True
    dilation: tuple[int, ...] = ()

    inlines_producers: ClassVar[bool] = True

    def infer(self, upstream: Tensor) -> Tensor:
        result = upstream.with_shape((*upstream.shape[:2], *self.size))
        pooled = self._pool().infer(result)
        if pooled.rank != upstream.rank or any(
            unify(a, b) is None for a, b in zip(pooled.shape, upstream.shape, strict=True)
        ):
            raise TypeRuleError(f"'{self.name}' needs the windows {pooled}, not {upstream}.", 0)
        return result

    def _pool(self) -> AveragePool:
        rule = (self.ceil, self.count_include_pad)
        return AveragePool(self.kernel, self.stride, self.pads, *rule, dilation=self.dilation)

    def element(self, out: Tensor, index: Index, upstream: Operand) -> Scalar:
        offsets, windows, pool = [], [], self._pool()
        covers = to_index(0).equals(0)
        for axis, i in enumerate(index[2:]):
            reach, stride, before = pool.extents[axis], self.stride[axis], self.pads[axis][0]
            offset = axis_variable(f"k{axis}", -(-reach // stride))
            window = (i + before) // stride - offset
            first = window * stride - before
            offsets.append(offset)
            windows.append(window)
            covers = covers & (i < first + reach) & ((i - first) % pool.steps[axis]).equals(0)
        count = pool.divisor(tuple(windows), self.size, out.dtype)
        share = upstream.padded((*index[:2], *windows)) / count
        return reduce_over("sum", tuple(offsets), select(covers, share, 0))

    def numpy(self, upstream: Array) -> Array:
        """Adds the shares of all windows, one tap of the kernel after another."""
        size, pool = static(self.size), self._pool()
        shares = upstream / pool.counts(size)
        room = [
            max((count - 1) * s + reach, before + n)
            for count, s, reach, n, (before, _) in zip(
                upstream.shape[2:], self.stride, pool.extents, size, self.pads, strict=True
            )
        ]
        total = np.zeros((*upstream.shape[:2], *room), upstream.dtype)
        for tap in np.ndindex(*self.kernel):
            ends = [(n - 1) * s for n, s in zip(upstream.shape[2:], self.stride, strict=True)]
            reached = tuple(
                slice(t * d, t * d + end + 1, s)
                for t, d, end, s in zip(tap, pool.steps, ends, self.stride, strict=True)
            )
            total[(slice(None), slice(None), *reached)] += shares
        kept = [slice(b, b + n) for n, (b, _) in zip(size, self.pads, strict=True)]
        return total[(slice(None), slice(None), *kept)]

    def grad(self, upstream: Node, output: Node, x: Node) -> tuple[Node | None, ...]:
        return (self._pool()(upstream),)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        square = cls((2, 2), (2, 2), ((0, 0), (0, 0)), (4, 6))
        uneven = cls((3, 2), (2, 1), ((1, 1), (0, 1)), (6, 5), True)
        volume = cls((2, 2, 2), (2, 2, 2), ((0, 0), (1, 0), (0, 0)), (4, 3, 2))
        outside = cls((3,), (2,), ((1, 1),), (7,), False, False)
        dropped = cls((2, 2), (2, 3), ((1, 1), (0, 0)), (5, 6), True)
        beyond = cls((3, 2), (2, 3), ((1, 1), (0, 1)), (6, 7), True, False)
        dilated = cls((2, 3), (2, 1), ((1, 0), (2, 2)), (6, 5), False, False, (3, 2))
        return [
            sample(square, "f32[2, 3, 2, 3]"),
            sample(uneven, "f32[1, 2, 4, 5]"),
            sample(volume, "f32[1, 1, 2, 2, 1]"),
            sample(outside, "f32[1, 2, 4]"),
            sample(dropped, "f32[1, 2, 3, 2]"),
            sample(beyond, "f32[1, 2, 4, 3]"),
            sample(dilated, "f32[1, 2, 2, 5]"),
        ]
