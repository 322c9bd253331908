"""Sizes that a program finds: how large they can be, and which of them are the same."""

from __future__ import annotations

import pytest

from dhc.ir.graph import Graph, Input
from dhc.ir.size import (
    Size,
    count_size,
    counts,
    largest,
    least,
    limit_of,
    substitute,
    symbol,
    symbols,
    unify,
)
from dhc.ir.text import parse_graph, print_graph
from dhc.ir.types import DType, Tensor

N = symbol("N")
K = count_size("k", N * 4)
L = count_size("l", 10)


def test_the_least_of_a_size_and_a_number() -> None:
    assert least(7, 5) == 5
    assert least(least(N, 5), 9) == least(N, 5)
    assert least(least(N, 9), 5) == least(N, 5)
    assert least(L, 10) == L  # which is no more
    assert least(N, 0) == 0
    assert least(N + 7, 5) == 5  # no size is below 0
    assert least(N - 7, 5) != 5
    assert substitute(least(N, 5), {"N": 3}) == 3
    assert substitute(least(N, 5), {"N": 8}) == 5


def test_a_number_of_which_a_size_is_the_least() -> None:
    assert limit_of(least(L, 4), L) == 4
    assert limit_of(least(L, 4), K) == 0
    assert limit_of(L, L) == 0
    assert limit_of(3, L) == 0


def test_counts_have_a_largest_value() -> None:
    inner = count_size("m", L)
    assert largest(L * 3 + 1) == 31
    assert largest((L + 1) // 2) == 5
    assert largest(least(L, 4) + inner) == 14
    assert largest(K) == N * 4
    assert largest(L - least(L, 3)) == 7
    assert largest((L - least(L, 3)) * 2 + 1) == 15
    assert largest(N) == N
    assert substitute(K, {"N": 2}) == count_size("k", 8)
    assert substitute(K, {"k": 3, "N": 2}) == 3


@pytest.mark.parametrize("size", [L - 1, 10 - L, L * L - L, (3 - L) // 2, 2 - least(L, 1)])
def test_what_may_be_below_zero_or_falls_has_none(size: Size) -> None:
    with pytest.raises(ValueError, match="is no number of entries"):
        largest(size)


def test_counts_agree_with_themselves_alone() -> None:
    assert unify(L + 1, L + 1) == L + 1
    assert unify(L, count_size("m", 10)) is None
    assert unify(L, 10) is None
    assert unify(L * N, N * L) == L * N


def test_names_in_counts() -> None:
    assert {each.name for each in counts(least(K, 3) * L)} == {"k", "l"}
    assert symbols(K) == {"N"}


@pytest.mark.parametrize("size", [K, least(K, 3), least(N, 5) * 2 + L, (K + 1) // 2, K - L])
def test_sizes_are_read_as_they_are_printed(size: Size) -> None:
    x = Input("x", Tensor(DType.F32, (size, 2)))()
    graph = Graph("g", (x,), (("y", x),))
    assert parse_graph(print_graph(graph)) == graph
