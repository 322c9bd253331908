"""What an operator reads of its inputs when it says what one element of its result is."""

from __future__ import annotations

from dhc.ir.scalar import Const, Number, Scalar, lift
from dhc.ir.types import DType, Tensor
from dhc.ops.sizes import size_scalar

Index = tuple[Scalar, ...]


class Operand:
    """An input of an operator, read element by element inside `Structured.element`."""

    type: Tensor

    def read(self, index: Index, guard: Scalar | None = None, otherwise: Number = 0) -> Scalar:
        """Returns the element at `index`, or `otherwise` where the guard is false."""
        raise NotImplementedError

    def __getitem__(self, index: Index) -> Scalar:
        return self.read(index)

    def padded(self, index: Index, fill: Number = 0) -> Scalar:
        """Returns the element at `index`, or `fill` where the index lies outside the tensor."""
        guard: Scalar = Const(True, DType.BOOL)
        for i, size in zip(index, self.type.shape, strict=True):
            guard = guard & (i >= 0) & (i < size_scalar(size))
        return self.read(index, None if isinstance(guard, Const) else guard, fill)

    def broadcast(self, index: Index) -> Scalar:
        """Returns the element that meets `index` of a result that this input broadcasts to."""
        own = index[len(index) - self.type.rank :]
        zero = lift(0, DType.I64)
        return self.read(
            tuple(zero if s == 1 else i for i, s in zip(own, self.type.shape, strict=True))
        )
