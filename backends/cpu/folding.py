"""Loops that fold numbers into one variable, as sums over rows do: which they are.

Their numbers may be taken a vector at a time: sums, products added to sums, and extremes do not
depend on an order, but for the last digits of sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dhc.backends.cpu.scalar_printer import ScalarPrinter, Scope
from dhc.ir.kernel import Assign, For, Let, Statement, statements
from dhc.ir.scalar import Binary, Const, Fma, Load, Scalar, Var, walk

WAYS = 4  # vectors that are folded beside each other, which hides how long one operation takes


@dataclass(frozen=True)
class Fold:
    """A loop that folds into a variable.

    Attributes:
        loop: The loop.
        target: The variable.
        function: How a number joins it: add, min or max.
        extent: Its turns.
    """

    loop: For
    target: Var
    function: str
    extent: int

    @property
    def values(self) -> Iterator[Scalar]:
        """All expressions of a turn."""
        for statement in self.loop.body:
            assert isinstance(statement, Let | Assign)
            yield statement.value


def fold_of(loop: Statement) -> Fold | None:
    """Returns the fold that a loop is, or nothing."""
    if not isinstance(loop, For) or loop.kind != "serial" or not isinstance(loop.extent, Const):
        return None
    *lets, last = loop.body
    if not isinstance(last, Assign) or not all(isinstance(each, Let) for each in lets):
        return None
    found = _joined(last)
    if found is None:
        return None
    function, parts = found
    given = [*parts, *(each.value for each in lets if isinstance(each, Let))]
    if any(last.var in walk(each) for each in given):
        return None
    return Fold(loop, last.var, function, int(loop.extent.value))


def _joined(assign: Assign) -> tuple[str, tuple[Scalar, ...]] | None:
    """How a number joins a variable, and what the number is made of."""
    match assign.value:
        case Binary("add" | "min" | "max" as function, left, right) if left is assign.var:
            return function, (right,)
        case Fma(left, right, addend) if addend is assign.var:
            return "add", (left, right)
    return None


def reads_rows(fold: Fold, scalars: ScalarPrinter, scope: Scope) -> bool:
    """Whether what a fold reads lies side by side from turn to turn, enough to fill a vector."""
    if fold.extent < scalars.lanes:
        return False
    strides = _strides(fold, scalars, _along(fold.loop, scalars, scope))
    return 1 in strides and all(stride in (0, 1) for stride in strides)


def has_rows_across(loop: For, scalars: ScalarPrinter, scope: Scope) -> bool:
    """Whether a loop over lanes is around folds whose numbers lie side by side, but not in lanes.

    Vectors along the rows then read memory in order, where vectors across them would gather.
    """
    across = _along(loop, scalars, scope)
    folds = (fold_of(each) for each in statements(loop.body))
    return any(
        reads_rows(fold, scalars, scope)
        and not all(each in (0, 1) for each in _strides(fold, scalars, across))
        for fold in folds
        if fold is not None
    )


def _along(loop: For, scalars: ScalarPrinter, scope: Scope) -> Scope:
    """The scope within a loop whose variable differs from lane to lane."""
    inner = replace(scope.copy(), lane=loop.var)
    for statement in statements(loop.body):
        if isinstance(statement, Let):
            inner.steps[statement.var] = scalars.step(statement.value, inner)
    return inner


def _strides(fold: Fold, scalars: ScalarPrinter, scope: Scope) -> Sequence[int | None]:
    """How far apart neighbouring lanes read; None where that varies."""
    loads = (each for value in fold.values for each in walk(value) if isinstance(each, Load))
    return [scalars.stride(load, scope) for load in loads]
