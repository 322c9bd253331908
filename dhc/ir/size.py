"""Sizes of tensor axes: plain integers, or integer expressions over named symbols.

A size expression is a polynomial with integer coefficients whose atoms are symbols and floor
divisions by a constant. It is kept in a canonical form, so that most expressions that are always
equal compare equal, and an expression that has become constant is a plain `int`. A symbol stands
for a positive number. A *count* is a number, perhaps 0, that a node finds when the program runs.
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


@dataclass(frozen=True, slots=True)
class Count:
    """How many entries a node finds when the program runs: from 0 to `most`."""

    name: str
    most: Size

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Least:
    """The atom `min(value, most)`."""

    value: Expr
    most: int

    def __str__(self) -> str:
        return f"min({self.value}, {self.most})"


Atom = Symbol | FloorDiv | Count | Least
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


def count_size(name: str, most: Size) -> Expr:
    """Returns the size that is the count `name`, which is at most `most`."""
    return Expr((((Count(name, most),), 1),))


def least(value: Size, most: int) -> Size:
    """Returns `min(value, most)` of a size, which is no less than 0."""
    if isinstance(value, int):
        return min(value, most)
    if most <= 0 or _reaches(value, most):
        return most
    if len(value.terms) == 1 and value.terms[0][1] == 1 and len(value.terms[0][0]) == 1:
        (atom,) = value.terms[0][0]
        if isinstance(atom, Least):
            return least(atom.value, min(atom.most, most))
        if isinstance(atom, Count) and isinstance(atom.most, int) and atom.most <= most:
            return value
    return Expr((((Least(value, most),), 1),))


def _reaches(value: Expr, number: int) -> bool:
    """Whether a sum of what is never below 0 has a constant of this size."""
    terms = dict(value.terms)
    rising = all(times > 0 and FloorDiv not in map(type, atoms) for atoms, times in value.terms)
    return rising and terms.get((), 0) >= number


def limit_of(value: Size, whole: Size) -> int:
    """Returns the number for which a size is the least of it and another; 0 if there is none."""
    atoms = [] if isinstance(value, int) else [a for terms, _ in value.terms for a in terms]
    limits = [atom.most for atom in atoms if isinstance(atom, Least)]
    return next((limit for limit in limits if value == least(whole, limit)), 0)


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
            match atom:
                case Symbol(name):
                    found.add(name)
                case Count(_, most):
                    found |= symbols(most)
                case _:
                    found |= symbols(atom.value)
    return frozenset(found)


def counts(value: Size) -> frozenset[Count]:
    """Returns all counts in a size."""
    if isinstance(value, int):
        return frozenset()
    found: set[Count] = set()
    for monomial, _ in value.terms:
        for atom in monomial:
            if isinstance(atom, Count):
                found.add(atom)
            elif not isinstance(atom, Symbol):
                found |= counts(atom.value)
    return frozenset(found)


def largest(value: Size) -> Size:
    """Returns a size with every count as large as it can be.

    Raises:
        ValueError: if the size does not grow with its counts, or may be below 0.
    """
    if not counts(value):
        return value
    rest, above = _excesses(value)
    most = _largest_sum(rest)
    for times, size, limit in above:
        top = largest(size)
        most = most + times * (top - least(top, limit))
    return most


def _largest_sum(value: Size) -> Size:
    found = counts(value)
    lowest = substitute(value, {each.name: 0 for each in found})
    if not _grows(value) or (isinstance(lowest, int) and lowest < 0):
        raise ValueError(f"size {value} is no number of entries that is bounded")
    return substitute(value, {each.name: largest(each.most) for each in found})


def _excesses(value: Size) -> tuple[Size, list[tuple[int, Size, int]]]:
    """Takes parts `times * (size - min(size, limit))`, which grow with the size, from a size."""
    above: list[tuple[int, Size, int]] = []
    terms = () if isinstance(value, int) else value.terms
    for monomial, coefficient in terms:
        if coefficient < 0 and len(monomial) == 1 and isinstance(monomial[0], Least):
            part = monomial[0]
            above.append((-coefficient, part.value, part.most))
            value = value + (least(part.value, part.most) - part.value) * -coefficient
    return value, above


def _grows(value: Size) -> bool:
    """Whether a size never becomes smaller when its counts become larger."""
    if isinstance(value, int):
        return True
    return all(
        not counts(Expr(((monomial, 1),))) or (coefficient > 0 and all(map(_atom_grows, monomial)))
        for monomial, coefficient in value.terms
    )


def _atom_grows(atom: Atom) -> bool:
    return isinstance(atom, Symbol | Count) or _grows(atom.value)


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

    An equality that depends on symbols is handed to the collector in force and assumed; one that
    depends on what the program finds is none.
    """
    if left == right:
        return left
    difference = left - right
    if isinstance(difference, int) or counts(difference) or _never_zero(difference):
        return None
    collector = _collector.get()
    if collector is not None:
        collector.add(left, right)
    return left if isinstance(left, int) or not isinstance(right, int) else right


def simplify(constraints: Constraints) -> tuple[str, ...]:
    """Returns the constraints as sentences such as `H % 8 == 0`, the strongest only.

    An equality in one symbol that becomes an identity when the symbol is replaced by `m * symbol`
    says that m divides it; the least such m are combined.
    """
    divisors: dict[str, int] = {}
    for left, right in constraints.equal:
        names = symbols(left) | symbols(right)
        least = _divisor_that_solves(min(names), left, right) if len(names) == 1 else None
        if least is not None:
            divisors[min(names)] = math.lcm(divisors.get(min(names), 1), least)
    scaled = {name: symbol(name) * divisor for name, divisor in divisors.items()}
    open_pairs = [
        (a, b) for a, b in constraints.equal if substitute(a, scaled) != substitute(b, scaled)
    ]
    sentences = [f"{name} % {divisor} == 0" for name, divisor in sorted(divisors.items())]
    return tuple(sentences + [f"{a} == {b}" for a, b in open_pairs])


def _divisor_that_solves(name: str, left: Size, right: Size) -> int | None:
    """Returns the least m for which the equality holds at all multiples of m, if there is one."""
    period = math.lcm(*_divisors(left), *_divisors(right))
    for multiple in (m for m in range(2, min(period, 1 << 12) + 1) if period % m == 0):
        scaled = {name: symbol(name) * multiple}
        if substitute(left, scaled) == substitute(right, scaled):
            return multiple
    return None


def _divisors(value: Size) -> list[int]:
    """Returns the divisors of all floor divisions in a size."""
    if isinstance(value, int):
        return []
    atoms = [atom for monomial, _ in value.terms for atom in monomial]
    divisions = [atom for atom in atoms if isinstance(atom, FloorDiv)]
    return [d for atom in divisions for d in (atom.divisor, *_divisors(atom.value))]


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


def _floor_divide(value: Size, divisor: int) -> Size:
    if divisor <= 0:
        raise ValueError("sizes are divided by positive integers only")
    if isinstance(value, int):
        return value // divisor
    split = [(monomial, *divmod(coefficient, divisor)) for monomial, coefficient in value.terms]
    whole = _collect([(monomial, quotient) for monomial, quotient, _ in split])
    rest = _collect([(monomial, remainder) for monomial, _, remainder in split])
    return whole if isinstance(rest, int) else whole + _divide_rest(rest, divisor)


def _divide_rest(value: Expr, divisor: int) -> Size:
    """Divides a size whose coefficients lie between 0 and the divisor."""
    common = math.gcd(divisor, *(n for monomial, n in value.terms if monomial))
    if common > 1:
        reduced = _collect([(monomial, n // common) for monomial, n in value.terms])
        return _floor_divide(reduced, divisor // common)
    nested = _merge_nested(value, divisor)
    return Expr((((FloorDiv(value, divisor),), 1),)) if nested is None else nested


def _merge_nested(value: Expr, divisor: int) -> Size | None:
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
    return _floor_divide(inner.value + inner.divisor * constant, inner.divisor * divisor)


def _substitute_atom(atom: Atom, bindings: Mapping[str, Size]) -> Size:
    match atom:
        case Symbol(name):
            return bindings.get(name, Expr((((atom,), 1),)))
        case Count(name, most):
            return bindings.get(name, count_size(name, substitute(most, bindings)))
        case Least(value, limit):
            return least(substitute(value, bindings), limit)
    return substitute(atom.value, bindings) // atom.divisor


def _never_zero(value: Expr) -> bool:
    """Whether a difference cannot vanish.

    That is so if all coefficients share a divisor that the constant lacks, or if symbols alone,
    which are positive, keep it on one side of zero.
    """
    coefficients = [n for monomial, n in value.terms if monomial]
    constant = sum(n for monomial, n in value.terms if not monomial)
    if constant % math.gcd(*coefficients) != 0:
        return True
    if any(not isinstance(atom, Symbol) for monomial, _ in value.terms for atom in monomial):
        return False
    sign = 1 if coefficients[0] > 0 else -1
    one_sided = all(n * sign > 0 for n in coefficients)
    return one_sided and sign * (sum(coefficients) + constant) > 0


def _term_text(monomial: Monomial, coefficient: int) -> str:
    several = len(monomial) > 1
    factors = [f"({a})" if isinstance(a, FloorDiv) and several else str(a) for a in monomial]
    if coefficient == 1 and factors:
        return " * ".join(factors)
    if len(monomial) == 1 and isinstance(monomial[0], FloorDiv):
        factors = [f"({factors[0]})"]
    return " * ".join([str(coefficient), *factors])
