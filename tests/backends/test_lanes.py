"""Kernels of processors read vectors where lanes lie side by side, whatever the index says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dhc
from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.driver import compile_graph
from dhc.ir.graph import Graph, Input
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.ops.elementwise import Add
from dhc.ops.linear import MatMul
from dhc.ops.shape import Permute, Reshape

SIZES = st.lists(st.sampled_from([1, 2, 3, 16, 24, 48]), min_size=2, max_size=4)


def _network(wide: int, folder: Path) -> dhc.Model:
    """Its convolution leaves images pixel by pixel, and its rows are images of `wide` columns."""
    file = folder / "net.dhm"
    layers = "conv(1, kernel=1) -> sigmoid() -> flatten()"
    text = f"input x: f32[4, 1, 6, {wide}]\noutput y = x -> {layers}"
    file.write_text(f"dhm 1\nmodel Net() {{\n{text}\n}}\n")
    return dhc.load(file).model("Net")


@pytest.mark.parametrize(("wide", "one_by_one"), [(48, False), (50, True)])
def test_rows_of_whole_vectors_are_read_as_vectors(
    wide: int, one_by_one: bool, tmp_path: Path
) -> None:
    """Lanes of a vector are in one row of 48 pixels, but not in one of 50."""
    backend = CpuBackend(Target("cpu", options={"isa": "avx512"}))
    text = backend.lower(_network(wide, tmp_path).graph).source.text
    kernel = text[text.index("_reshape(") :].split("\n}\n")[0]
    assert ("insertelement <16 x float>" in kernel) is one_by_one


@settings(deadline=None, max_examples=30)
@given(SIZES)
def test_rearranged_tensors_keep_their_values(sizes: list[int]) -> None:
    """Reshaped, its axes exchanged, and added to what is not."""
    shape = tuple(sizes)
    turned = tuple(reversed(range(len(shape))))
    x = Input("x", Tensor(DType.F32, shape))()
    flat = Reshape((int(np.prod(shape)),))(Permute(turned)(Relu()(x)))
    y = Add()(Reshape(shape)(flat), x)
    array = np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    program = compile_graph(Graph("net", (x,), (("y", y),)), Target("cpu", threads=1))
    expected = np.maximum(array, 0).transpose(turned).reshape(shape) + array
    assert np.array_equal(program(x=array)["y"], expected)


def test_a_step_may_read_a_tensor_twice() -> None:
    x = Input("x", Tensor(DType.F32, (5, 5)))()
    t = Relu()(x)
    array = np.random.default_rng(1).standard_normal((5, 5)).astype(np.float32)
    program = compile_graph(Graph("net", (x,), (("y", MatMul()(t, t)),)), Target("cpu"))
    positive = np.maximum(array, 0)
    np.testing.assert_allclose(program(x=array)["y"], positive @ positive, rtol=1e-5)
