"""Which values the integers of a kernel take: for narrow indices and plain `/`."""

from __future__ import annotations

from collections.abc import Iterator

from dhc.ir.kernel import Assign, Declare, For, If, Kernel, Let, Statement, Store, statements
from dhc.ir.replace import map_children
from dhc.ir.scalar import Bitcast, Buffer, Load, Scalar, Var, children, index, lift, walk
from dhc.ir.simplify import Interval, interval
from dhc.ir.types import DType

INT32 = (-(2**31), 2**31 - 1)


class Ranges:
    """Bounds of the integer expressions of one kernel.

    Args:
        kernel: The kernel; its loops and definitions say what its variables stand for.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._values: dict[Var, list[Scalar]] = {}
        self._stand_ins: dict[Var, Scalar] = {}
        self._bounded: dict[Scalar, Scalar] = {}
        self._open = 0  # variables whose values are being looked at
        for statement in statements(kernel.body):
            match statement:
                case For(var, extent):
                    self._values.setdefault(var, []).extend((index(0), extent - 1))
                case Let(var, value) | Declare(var, value) | Assign(var, value):
                    self._values.setdefault(var, []).append(value)

    def of(self, value: Scalar) -> Interval | None:
        """Returns the smallest and the largest value, or None where they are not known."""
        done = {} if self._open else self._bounded
        for part in () if value in done else walk(value):
            if isinstance(part, Var):
                done[part] = self._stand_in(part)
            elif part not in done:
                done[part] = map_children(part, done) if children(part) else part
        return interval(done[value])

    def _stand_in(self, var: Var) -> Scalar:
        """Returns an expression with the bounds of a variable that `interval` can see."""
        if var.extent is not None or not var.type.is_integer:
            return var
        if var not in self._stand_ins:
            self._stand_ins[var] = var  # while its values are looked at: they may use it
            self._open += 1
            found = [self.of(value) for value in self._values.get(var, ())]
            self._open -= 1
            known = [bounds for bounds in found if bounds is not None]
            if found and len(known) == len(found):
                low, high = min(b[0] for b in known), max(b[1] for b in known)
                seen = Var(var.name, var.type, high - low + 1)
                self._stand_ins[var] = seen + lift(low, var.type) if low else seen
        return self._stand_ins[var]


def fits(bounds: Interval | None, room: Interval) -> bool:
    """Whether values with these bounds lie in `room`; unknown ones do not."""
    return bounds is not None and room[0] <= bounds[0] and bounds[1] <= room[1]


def indices_fit_int32(kernel: Kernel, ranges: Ranges) -> bool:
    """Whether 32-bit integers hold every index, size and address of a kernel."""
    for value in _index_values(kernel):
        for part in walk(value):
            if isinstance(part, Bitcast) and part.operand.dtype is DType.I64:
                return False
            if part.dtype is DType.I64 and not fits(ranges.of(part), INT32):
                return False
    return True


def address(buffer: Buffer, place: tuple[Scalar, ...]) -> Scalar:
    """Returns the element's distance from logical element 0, in elements."""
    total = index(0)
    for i, stride in zip(place, buffer.strides, strict=True):
        total = total + i * stride
    return total


def _index_values(kernel: Kernel) -> Iterator[Scalar]:
    """All expressions of a kernel, and the addresses of all its reads and writes."""
    for statement in statements(kernel.body):
        for value in _operands(statement):
            yield value
            for part in walk(value):
                if isinstance(part, Load):
                    yield address(part.buffer, part.index)


def _operands(statement: Statement) -> tuple[Scalar, ...]:
    match statement:
        case For(_, extent):
            return (extent,)
        case If(condition):
            return (condition,)
        case Let(_, value) | Declare(_, value) | Assign(_, value):
            return (value,)
        case Store(buffer, place, value):
            return (value, address(buffer, place))
    return ()
