"""Sizes of tensor axes: plain integers, or integer expressions over named symbols.

A size expression is a polynomial with integer coefficients whose atoms are symbols and floor
divisions by a constant. It is kept in one canonical form, so two equal expressions that the form can
tell equal compare equal, and an expression that has become constant is a plain `int`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Symbol:
    """A named size, such as the batch `N` or the height `H`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class FloorDiv:
    """The atom `floor(value / divisor)`."""

    value: Expr
    divisor: int

    def __str__(self) -> str:
        text = str(self.value)
        return f"{text} // {self.divisor}" if text.isidentifier() else f"({text}) // {self.divisor}"


Atom = Symbol | FloorDiv
Monomial = tuple[Atom, ...]  # a product, sorted by text; () is the constant 1


@dataclass(frozen=True, slots=True)
class Expr:
    """A size that is not a constant: a sum of `coefficient * monomial`, sorted by text."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Size) -> Size:
        return _collect([*self.terms, *_terms(other)])

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + (-other)

    def __rsub__(self, other: Size) -> Size:
        return -self + other

    def __mul__(self, other: Size) -> Size:
        return _collect(
            [
                (tuple(sorted(a + b, key=str)), m * n)
                for a, m in self.terms
                for b, n in _terms(other)
            ]
        )

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Size:
        return _floor_divide(self, divisor)

    def __mod__(self, divisor: int) -> Size:
        return self - self // divisor * divisor

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            sign = "-" if coefficient < 0 else "+"
            part = _term_text(monomial, abs(coefficient))
            text += f" {sign} {part}" if text else (f"-{part}" if sign == "-" else part)
        return text


Size = int | Expr
Shape = tuple[Size, ...]


def symbol(name: str) -> Expr:
    """Returns the size that is the symbol `name`."""
    return Expr((((Symbol(name),), 1),))


def ceil_divide(value: Size, divisor: int) -> Size:
    """Returns `ceil(value / divisor)`."""
    return (value + (divisor - 1)) // divisor


def substitute(value: Size, bindings: Mapping[str, Size]) -> Size:
    """Replaces symbols by the sizes they are bound to; unbound symbols stay."""
    if isinstance(value, int):
        return value
    total: Size = 0
    for monomial, coefficient in value.terms:
        product: Size = coefficient
        for atom in monomial:
            product = product * _substitute_atom(atom, bindings)
        total = total + product
    return total


def symbols(value: Size) -> frozenset[str]:
    """Returns the names of all symbols in a size."""
    if isinstance(value, int):
        return frozenset()
    found: set[str] = set()
    for monomial, _ in value.terms:
        for atom in monomial:
            found |= {atom.name} if isinstance(atom, Symbol) else symbols(atom.value)
    return frozenset(found)


def static(shape: Shape) -> tuple[int, ...]:
    """Returns a shape whose sizes are all known.

    Raises:
        ValueError: if a size still depends on a symbol.
    """
    for size in shape:
        if not isinstance(size, int):
            raise ValueError(f"size {size} is not known yet")
    return tuple(size for size in shape if isinstance(size, int))


# ---- equalities that only hold for some sizes -----------------------------------------------


@dataclass(slots=True)
class Constraints:
    """Equalities that could not be decided while shapes were inferred, in order of appearance."""

    equal: list[tuple[Size, Size]] = field(default_factory=list)

    def add(self, left: Size, right: Size) -> None:
        if (left, right) not in self.equal:
            self.equal.append((left, right))


_collector: ContextVar[Constraints | None] = ContextVar("constraints", default=None)


@contextmanager
def collecting() -> Iterator[Constraints]:
    """Collects the undecided equalities of all shape inference inside the `with` block."""
    constraints = Constraints()
    token = _collector.set(constraints)
    try:
        yield constraints
    finally:
        _collector.reset(token)


def unify(left: Size, right: Size) -> Size | None:
    """Returns the common size, or None where the two can never be equal.

    An equality that depends on symbols is handed to the collector in force and assumed.
    """
    if left == right:
        return left
    difference = left - right
    if isinstance(difference, int) or _never_zero(difference):
        return None
    collector = _collector.get()
    if collector is not None:
        collector.add(left, right)
    return left if isinstance(left, int) or not isinstance(right, int) else right


def simplify(constraints: Constraints) -> tuple[str, ...]:
    """Returns the constraints as sentences such as `H % 8 == 0`, the strongest only.

    A symbol is replaced by `m * symbol` for m = 2, 4, 8, ...: the smallest m that makes all its
    equalities identities is reported as a divisibility.
    """
    pending = list(constraints.equal)
    sentences: list[str] = []
    for name in sorted({s for a, b in pending for s in symbols(a) | symbols(b)}):
        mine = [(a, b) for a, b in pending if symbols(a) | symbols(b) == {name}]
        multiple = _divisor_that_solves(name, mine)
        if multiple is not None:
            sentences.append(f"{name} % {multiple} == 0")
            pending = [pair for pair in pending if pair not in mine]
    return tuple(sentences + [f"{a} == {b}" for a, b in pending])


def _divisor_that_solves(name: str, pairs: list[tuple[Size, Size]]) -> int | None:
    if not pairs:
        return None
    for multiple in (2**k for k in range(1, 11)):
        scaled = {name: symbol(name) * multiple}
        if all(substitute(a, scaled) == substitute(b, scaled) for a, b in pairs):
            return multiple
    return None


# ---- canonical form --------------------------------------------------------------------------


def _terms(value: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(value, Expr):
        return value.terms
    return (((), value),) if value else ()


def _collect(terms: list[tuple[Monomial, int]]) -> Size:
    sums: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        sums[monomial] = sums.get(monomial, 0) + coefficient
    kept = [(monomial, n) for monomial, n in sums.items() if n]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    return Expr(tuple(sorted(kept, key=_term_order)))


def _term_order(term: tuple[Monomial, int]) -> tuple[bool, str]:
    return (term[0] == (), " * ".join(map(str, term[0])))


def _floor_divide(value: Expr, divisor: int) -> Size:
    if divisor <= 0:
        raise ValueError("sizes are divided by positive integers only")
    whole: list[tuple[Monomial, int]] = []
    rest: list[tuple[Monomial, int]] = []
    for monomial, coefficient in value.terms:
        quotient, remainder = divmod(coefficient, divisor)
        if remainder == 0 or monomial == ():
            whole.append((monomial, quotient))
            rest.append((monomial, remainder))
        else:
            rest.append((monomial, coefficient))
    left_over = _collect(rest)
    if isinstance(left_over, int):
        return _collect(whole) + left_over // divisor
    inner = _merge_nested(left_over, divisor) or FloorDiv(left_over, divisor)
    return _collect(whole) + Expr((((inner,), 1),))


def _merge_nested(value: Expr, divisor: int) -> FloorDiv | None:
    """Rewrites `(x // a + c) // b` as `(x + a * c) // (a * b)`."""
    constant = 0
    inner: FloorDiv | None = None
    for monomial, coefficient in value.terms:
        if monomial == ():
            constant = coefficient
        elif len(monomial) == 1 and isinstance(monomial[0], FloorDiv) and coefficient == 1:
            if inner is not None:
                return None
            inner = monomial[0]
        else:
            return None
    if inner is None:
        return None
    merged = inner.value + inner.divisor * constant
    assert isinstance(merged, Expr)
    return FloorDiv(merged, inner.divisor * divisor)


def _substitute_atom(atom: Atom, bindings: Mapping[str, Size]) -> Size:
    if isinstance(atom, Symbol):
        return bindings.get(atom.name, Expr((((atom,), 1),)))
    return substitute(atom.value, bindings) // atom.divisor


def _never_zero(value: Expr) -> bool:
    """Whether a difference cannot vanish: all coefficients share a divisor the constant lacks."""
    divisor = math.gcd(*(n for monomial, n in value.terms if monomial))
    constant = sum(n for monomial, n in value.terms if not monomial)
    return constant % divisor != 0


def _term_text(monomial: Monomial, coefficient: int) -> str:
    factors = [f"({a})" if isinstance(a, FloorDiv) and len(monomial) > 1 else str(a) for a in monomial]
    if coefficient == 1 and factors:
        return " * ".join(factors)
    if len(monomial) == 1 and isinstance(monomial[0], FloorDiv):
        factors = [f"({factors[0]})"]
    return " * ".join([str(coefficient), *factors])
