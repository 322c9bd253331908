"""Tensors that are alive together never overlap in the arena."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dhc.lower.memory import ALIGNMENT, Lifetime, place

blocks = st.lists(
    st.tuples(st.integers(1, 1000), st.integers(0, 20), st.integers(0, 6)), max_size=30
)


@given(blocks)
def test_no_overlap_and_aligned(drawn: list[tuple[int, int, int]]) -> None:
    lifetimes = [Lifetime(f"b{i}", size, a, a + n) for i, (size, a, n) in enumerate(drawn)]
    offsets, total = place(lifetimes)
    for one in lifetimes:
        assert offsets[one.name] % ALIGNMENT == 0
        assert offsets[one.name] + one.bytes <= total
        for other in lifetimes:
            together = one is not other and one.first <= other.last and other.first <= one.last
            if together:
                before = offsets[one.name] + one.bytes <= offsets[other.name]
                after = offsets[other.name] + other.bytes <= offsets[one.name]
                assert before or after


def test_a_chain_needs_two_buffers() -> None:
    chain = [Lifetime(f"b{i}", 64, i, i + 1) for i in range(10)]
    assert place(chain)[1] == 128


def test_nothing_needs_nothing() -> None:
    assert place([]) == ({}, 0)
