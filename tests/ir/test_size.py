"""Sizes: canonical form, arithmetic, equalities that become constraints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhc.ir.size import (
    Size,
    ceil_divide,
    collecting,
    simplify,
    static,
    substitute,
    symbol,
    symbols,
    unify,
)

N, H, W = symbol("N"), symbol("H"), symbol("W")
Formula = tuple[object, ...]


def formulas() -> st.SearchStrategy[Formula]:
    """Trees that are built as a size once with symbols and once with numbers."""
    leaves = st.sampled_from([("N",), ("H",)]) | st.tuples(st.integers(-6, 9))
    return st.recursive(
        leaves,
        lambda inner: (
            st.tuples(st.sampled_from("+-*"), inner, inner)
            | st.tuples(st.sampled_from(["//", "%"]), inner, st.integers(1, 6))
        ),
        max_leaves=8,
    )


def build(formula: Formula, values: dict[str, Size]) -> Size:
    match formula:
        case ("+", tuple() as a, tuple() as b):
            return build(a, values) + build(b, values)
        case ("-", tuple() as a, tuple() as b):
            return build(a, values) - build(b, values)
        case ("*", tuple() as a, tuple() as b):
            return build(a, values) * build(b, values)
        case ("//", tuple() as a, int() as divisor):
            return build(a, values) // divisor
        case ("%", tuple() as a, int() as divisor):
            return build(a, values) % divisor
        case (str() as name,):
            return values[name]
        case (int() as number,):
            return number
    raise AssertionError(formula)


@given(formulas(), st.integers(1, 40), st.integers(1, 40))
def test_substitution_commutes_with_arithmetic(formula: Formula, n: int, h: int) -> None:
    bindings: dict[str, Size] = {"N": n, "H": h}
    size = build(formula, {"N": N, "H": H})
    assert substitute(size, bindings) == build(formula, bindings)


@given(formulas(), st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))
def test_substituting_in_steps_is_substituting_at_once(
    formula: Formula, multiple: int, n: int, h: int
) -> None:
    size = build(formula, {"N": N, "H": H})
    halfway = substitute(size, {"H": H * multiple + N})
    at_once = substitute(size, {"N": n, "H": h * multiple + n})
    assert substitute(halfway, {"N": n, "H": h}) == at_once


@given(formulas())
def test_differences_of_equal_sizes_vanish(formula: Formula) -> None:
    size = build(formula, {"N": N, "H": H})
    assert size - size == 0
    assert size + size == 2 * size
    assert hash(size) == hash(build(formula, {"N": N, "H": H}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (H // 2 // 2, H // 4),
        ((H // 2 + 3) // 2, (H + 6) // 4),
        ((2 * H) // 4, H // 2),
        ((6 * H + 5) // 4, H + (H + 2) // 2),
        ((3 * H) // 5 // 3, H // 5),
        (-(-H // 2), H - H // 2),
        ((H + N) * 2, N * 2 + 2 * H),
        (H * N, N * H),
        ((H + 8) // 8, H // 8 + 1),
        ((H + 1) % 1, 0),
        (ceil_divide(4 * H, 2), 2 * H),
    ],
)
def test_equal_sizes_have_one_form(one: Size, other: Size) -> None:
    assert one == other


def test_division_needs_a_positive_number() -> None:
    with pytest.raises(ValueError, match="positive"):
        H // 0


def test_symbols_and_static() -> None:
    assert symbols((H + N) // 2) == {"H", "N"}
    assert static((1, 2)) == (1, 2)
    with pytest.raises(ValueError, match="H"):
        static((1, H))


# ---- unify -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 2),
        (H, H + 1),
        (2 * H, 2 * N + 1),
        (H, 2 * H),
        (4 * H + 2, 2 * H),
        (H + N, 2 * H + N + 3),
    ],
)
def test_sizes_that_can_never_be_equal(left: Size, right: Size) -> None:
    with collecting() as constraints:
        assert unify(left, right) is None
        assert unify(right, left) is None
    assert not constraints.equal


@pytest.mark.parametrize(("left", "right"), [(H, N), (H, 8), (H // 2, 0), (H // 2 * 2, H)])
def test_sizes_that_may_be_equal(left: Size, right: Size) -> None:
    with collecting() as constraints:
        assert unify(left, right) is not None
    assert constraints.equal == [(left, right)]


def test_unify_prefers_the_number() -> None:
    assert unify(H, 8) == 8
    assert unify(8, H) == 8


def test_collectors_nest() -> None:
    with collecting() as outer:
        with collecting() as inner:
            unify(H, N)
        unify(H, W)
    assert inner.equal == [(H, N)]
    assert outer.equal == [(H, W)]


# ---- constraints as sentences ----------------------------------------------------------------


def _sentences(*pairs: tuple[Size, Size]) -> tuple[str, ...]:
    with collecting() as constraints:
        for left, right in pairs:
            unify(left, right)
    return simplify(constraints)


def test_levels_of_a_pyramid_need_one_divisor() -> None:
    pairs = [(H // 2**k // 2 * 2, H // 2**k) for k in range(3)]
    assert _sentences(*pairs) == ("H % 8 == 0",)


def test_divisors_of_several_strides_combine() -> None:
    assert _sentences((H // 3 * 3, H), (H // 2 * 2, H), (W // 5 * 5, W)) == (
        "H % 6 == 0",
        "W % 5 == 0",
    )


def test_what_follows_from_divisors_is_not_said_again() -> None:
    pairs = [(H // 2 * 2, H), (W // 2 * 2, W), (H // 2 * 2 * (W // 2 * 2), H * W)]
    assert _sentences(*pairs) == ("H % 2 == 0", "W % 2 == 0")


def test_other_equalities_are_printed() -> None:
    assert _sentences((H, N), (H // 2 * 2, H)) == ("H % 2 == 0", "H == N")
