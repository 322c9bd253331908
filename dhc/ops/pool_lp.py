"""Pooling by the norm of each window."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dhc.ir.graph import Node, literal
from dhc.ir.types import Tensor
from dhc.ops.base import Composite, Onnx, TypeRuleError, op, require_elements
from dhc.ops.compare import Equal
from dhc.ops.conv import Pads, foreign_pads
from dhc.ops.elementwise import Abs, Mul, Pow, Where
from dhc.ops.foreign import Call, ForeignError
from dhc.ops.movement import Pad
from dhc.ops.outward import Outward, Term
from dhc.ops.pool import AveragePool, MaxPool, foreign_pool
from dhc.ops.rules import require_least
from dhc.ops.sample import Sample, sample


@op("lp_pool", onnx=Onnx("LpPool", since=18))
class LpPool(Composite):
    """(sum of |x|^p)^(1/p) of each window; padding counts as zeros.

    The gradient of a window of zeros is zero.

    Attributes:
        kernel, stride, pads, dilation: The windows, as of `average_pool`.
        p: The power, from 1 on.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...] = ()
    p: int = 2

    def expand(self, x: Node) -> Node:
        require_elements(self.name, "float", (x.type,))
        require_least(self.name, "p", self.p, 1)
        if x.type.rank != len(self.kernel) + 2:
            raise TypeRuleError(f"'{self.name}' needs {len(self.kernel) + 2} axes.", 0)
        dtype, none = x.type.dtype, ((0, 0),) * len(self.kernel)
        powers = Pow()(Abs()(x), literal(float(self.p), dtype))
        around = Pad(((0, 0), (0, 0), *self.pads))(powers)
        mean = AveragePool(self.kernel, self.stride, none, dilation=self.dilation)(around)
        total = Mul()(mean, literal(float(math.prod(self.kernel)), dtype))
        empty, zero = Equal()(total, literal(0.0, dtype)), literal(0.0, dtype)
        safe = Where()(empty, literal(1.0, dtype), total)
        return Where()(empty, zero, Pow()(safe, literal(1 / self.p, dtype)))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        if not self._is_plain(out, result):
            return out.expanded(self, *inputs)
        spread = {"dilations": self.dilation} if self.dilation else {}
        return out.node(
            "LpPool", inputs, result, kernel_shape=self.kernel, strides=self.stride,
            pads=foreign_pads(self.pads), p=self.p, **spread,
        )  # fmt: skip

    @classmethod
    def from_onnx(cls, call: Call) -> Node:
        """With `ceil` there is more padding behind, so that the last window has its elements."""
        x, pool = call.tensor(0), foreign_pool(MaxPool, call)
        pads = list(pool.pads)
        for axis, (before, after) in enumerate(pads if pool.ceil else ()):
            count, size = pool.infer(x.type).shape[2 + axis], x.type.shape[2 + axis]
            reach = (count - 1) * pool.stride[axis] + pool.extents[axis]
            more = reach - before - size
            if not isinstance(more, int):
                raise ForeignError(f"what its last window lacks depends on the size {size}")
            pads[axis] = (before, max(after, more))
        return cls(pool.kernel, pool.stride, tuple(pads), pool.dilation, call.get("p", 2))(x)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        plane = cls((2, 3), (2, 1), ((1, 0), (0, 2)), (1, 2), 3)
        return [
            sample(cls((2,), (2,), ((0, 0),)), "f32[2, 3, 6]"),
            sample(plane, "f32[1, 2, 5, 6]", ranges=((0.5, 2.0),)),
        ]
