"""Initial values: the same for the same seed and path, whatever else a network has."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.api import Source
from dhc.frontend import load_text
from dhc.ir.graph import Initializer, Param
from dhc.ir.types import DType, Tensor
from dhc.runtime.parameters import initial_values

SHAPE = Tensor(DType.F32, (64, 128))


def _param(path: str, start: Initializer, type: Tensor = SHAPE) -> Param:
    return Param(path, type, start)


HE = _param("a.weight", Initializer("he_normal", fan_in=50))
GLOROT = _param("b.weight", Initializer("glorot_uniform", fan_in=30, fan_out=20))
ONES = _param("c.scale", Initializer("constant", 1.0))


HE_START = [-0.06757281721, -0.1417399049]
GLOROT_START = [0.2195943445, 0.2691299319]


def test_values_follow_from_seed_and_path_alone() -> None:
    first = initial_values([HE, GLOROT, ONES])
    second = initial_values([ONES, GLOROT, HE])
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path])
        np.testing.assert_array_equal(value, initial_values([HE, GLOROT, ONES])[path])
    np.testing.assert_array_equal(initial_values([HE])["a.weight"], first["a.weight"])


@pytest.mark.parametrize("param", [HE, GLOROT])
def test_seeds_and_paths_make_a_difference(param: Param) -> None:
    one, other = (initial_values([param], seed)[param.path] for seed in (0, 1))
    assert not np.array_equal(one, other)
    renamed = Param("other", param.type, param.initializer)
    assert not np.array_equal(one, initial_values([renamed])["other"])


def test_values_are_those_that_were_always_drawn() -> None:
    """Published results name a seed; it must mean the same in every version."""
    assert initial_values([HE])["a.weight"][0, :2].tolist() == pytest.approx(HE_START)
    assert initial_values([GLOROT])["b.weight"][0, :2].tolist() == pytest.approx(GLOROT_START)


def test_he_normal_has_its_deviation() -> None:
    values = initial_values([HE])["a.weight"].astype(np.float64)
    assert values.std() == pytest.approx((2 / 50) ** 0.5, rel=0.03)
    assert abs(values.mean()) < 0.01
    assert np.abs(values).max() > 3 * values.std()


def test_glorot_uniform_has_its_bounds() -> None:
    values = initial_values([GLOROT])["b.weight"]
    bound = (6 / 50) ** 0.5
    assert 0.99 * bound < np.abs(values).max() <= bound
    assert abs(values.mean()) < 0.01


@pytest.mark.parametrize(
    ("dtype", "value"), [(DType.F32, 0.25), (DType.F64, -1.5), (DType.I32, 3.0), (DType.U8, 7.0)]
)
def test_constants_have_their_type(dtype: DType, value: float) -> None:
    param = _param("p", Initializer("constant", value), Tensor(dtype, (2, 3)))
    found = initial_values([param])["p"]
    assert found.dtype == dtype.numpy
    assert found.tolist() == [[value] * 3] * 2


def test_adding_a_layer_leaves_the_others_as_they_are() -> None:
    start = "dhm 1\nmodel M() { input x: f32[N, 4] a = x -> dense(3) "
    short, long = (
        Source(load_text(start + more + " output b = a -> dense(2) }")).model("M").parameters()
        for more in ("", 'a = a -> dense(3, name="more") -> relu()')
    )
    assert set(short) < set(long)
    for path, value in short.items():
        np.testing.assert_array_equal(value, long[path])
