"""Names the parts of expressions that are used more than once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dhc.ir.kernel import Let, Statement
from dhc.ir.replace import map_children
from dhc.ir.scalar import Scalar, Var, children, walk
from dhc.ir.simplify import interval
from dhc.ir.types import DType


@dataclass
class Names:
    """Numbers the variables of one kernel."""

    count: dict[str, int] = field(default_factory=dict)

    @classmethod
    def avoiding(cls, taken: Iterable[str]) -> Names:
        """Returns names that start after those in use."""
        names = cls()
        for name in taken:
            found = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
            if found:
                stem, number = found[1], int(found[2])
                names.count[stem] = max(names.count.get(stem, 0), number + 1)
        return names

    def fresh(self, stem: str, dtype: DType, extent: int | None = None) -> Var:
        number = self.count.get(stem, 0)
        self.count[stem] = number + 1
        return Var(f"{stem}{number}", dtype, extent)


def share(value: Scalar, names: Names) -> tuple[tuple[Statement, ...], Scalar]:
    """Returns definitions of the parts used more than once, and the value in terms of them.

    The value must not hold reductions: their axes mean nothing outside.
    """
    lets, (result,) = share_all((value,), names)
    return lets, result


def share_all(
    values: Sequence[Scalar], names: Names
) -> tuple[tuple[Statement, ...], tuple[Scalar, ...]]:
    """The same for several values, each of which is a use of what it is."""
    uses = {value: values.count(value) for value in values}
    order = list(dict.fromkeys(part for value in values for part in walk(value)))
    for part in order:
        for child in children(part):
            uses[child] = uses.get(child, 0) + 1
    lets: list[Statement] = []
    done: dict[Scalar, Scalar] = {}
    for part in order:
        done[part] = map_children(part, done) if children(part) else part
        if uses.get(part, 0) > 1 and children(part):
            name = names.fresh("t", part.dtype, _extent(part))
            lets.append(Let(name, done[part]))
            done[part] = name
    return tuple(lets), tuple(done[value] for value in values)


def _extent(part: Scalar) -> int | None:
    """One more than an index can be, so that divisions of its name know as much as of itself."""
    bounds = interval(part) if part.dtype is DType.I64 else None
    return bounds[1] + 1 if bounds is not None and bounds[0] >= 0 else None
