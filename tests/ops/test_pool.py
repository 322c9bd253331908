"""Which windows pooling has, and what a mean divides by, as PyTorch and ONNX have it."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.ops.pool import AveragePool, MaxPool
from dhc.ops.sample import tensor


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "floor", "ceil"),
    [
        (11, 3, 2, 0, 5, 5),
        (12, 3, 2, 0, 5, 6),
        (11, 2, 2, 1, 6, 6),  # a seventh window would begin in the padding
        (10, 3, 3, 1, 4, 4),
        (3, 1, 3, 0, 1, 1),
        (4, 1, 3, 0, 2, 2),
    ],
)
def test_a_last_window_begins_inside(
    size: int, kernel: int, stride: int, pad: int, floor: int, ceil: int
) -> None:
    for wide, expected in ((False, floor), (True, ceil)):
        pool = MaxPool((kernel,), (stride,), ((pad, pad),), wide)
        assert pool.infer(tensor(f"f32[1, 1, {size}]")).shape[2] == expected


def test_no_maximum_is_taken_over_padding_alone() -> None:
    pool = MaxPool((2,), (3,), ((1, 1),), ceil=True)
    assert np.isfinite(pool.numpy(np.zeros((1, 1, 8)))).all()


@pytest.mark.parametrize(
    ("include", "expected"), [(True, [2 / 3, 1, 1, 1 / 2]), (False, [1, 1, 1, 1])]
)
def test_what_lies_beyond_the_padding_never_counts(include: bool, expected: list[float]) -> None:
    """Six ones with a place of padding on both sides; the fourth window has a place beyond it."""
    pool = AveragePool((3,), (2,), ((1, 1),), True, include)
    np.testing.assert_allclose(pool.numpy(np.ones((1, 1, 6)))[0, 0], expected)
