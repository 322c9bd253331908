"""Programs of the engine `llvm`, called inside functions that numba compiles."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.executable import CpuExecutable
from dhc.backends.cpu.numba.callable import njit_function
from dhc.ir.graph import Array, Graph, Input, Param
from dhc.ops.activation import Relu
from dhc.ops.base import run
from dhc.ops.compare import Less
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Mul
from dhc.ops.linear import Dense
from dhc.ops.sample import tensor
from dhc.ops.shape import Reshape


def _classifier() -> Graph:
    """A convolution, relu, and a dense layer with two outputs."""
    x = Input("x", tensor("f32[1, 3, 8, 8]"))()
    kernel = Param("conv.weight", tensor("f32[16, 3, 3, 3]"))()
    matrix = Param("dense.weight", tensor("f32[2, 1024]"))()
    features = Relu()(Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, kernel))
    logits = Dense()(Reshape((1, 1024))(features), matrix)
    return Graph("classifier", (x,), (("logits", logits),))


@pytest.fixture(scope="module")
def executable() -> CpuExecutable:
    backend = CpuBackend(Target("cpu", threads=1))
    lowered = backend.lower(_classifier())
    built = backend.build(lowered.source)
    assert isinstance(built, CpuExecutable)
    weights = _weights()
    prepared = run([node for _, node in lowered.prepare.outputs], weights, {})
    names = [name for name, _ in lowered.prepare.outputs]
    built.load({**weights, **dict(zip(names, prepared, strict=True))})
    return built


def _weights() -> dict[str, Array]:
    random = np.random.default_rng(0)
    shapes = {"conv.weight": (16, 3, 3, 3), "dense.weight": (2, 1024)}
    return {path: random.normal(size=s).astype(np.float32) for path, s in shapes.items()}


def _image(seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(size=(1, 3, 8, 8)).astype(np.float32)


def test_a_compiled_function_calls_a_program(executable: CpuExecutable) -> None:
    network = njit_function(executable)

    @njit
    def margins(images: Array) -> Array:
        found = np.empty(len(images), np.float32)
        logits = np.empty((1, 2), np.float32)
        for k in range(len(images)):
            network((images[k], logits))
            found[k] = logits[0, 1] - logits[0, 0]
        return found

    images = np.stack([_image(seed) for seed in range(8)])
    expected = [np.diff(executable({"x": image})["logits"][0])[0] for image in images]
    np.testing.assert_array_equal(margins(images), expected)


def test_the_program_gives_the_same_numbers_there(executable: CpuExecutable) -> None:
    logits = np.empty((1, 2), np.float32)
    njit_function(executable)((_image(), logits))
    np.testing.assert_array_equal(logits, executable({"x": _image()})["logits"])


def test_other_shapes_are_refused(executable: CpuExecutable) -> None:
    with pytest.raises(ValueError, match="another shape"):
        njit_function(executable)((_image(), np.empty((2, 1), np.float32)))


def test_other_types_are_refused(executable: CpuExecutable) -> None:
    with pytest.raises((TypeError, TypingError)):
        njit_function(executable)((_image(), np.empty((1, 2))))


def test_arrays_may_be_of_different_types_and_ranks() -> None:
    x, scale = Input("x", tensor("f32[3]"))(), Input("scale", tensor("f32[]"))()
    graph = Graph("scaled", (x, scale), (("y", Mul()(x, scale)), ("less", Less()(x, scale))))
    backend = CpuBackend(Target("cpu", threads=1))
    built = backend.build(backend.lower(graph).source)
    assert isinstance(built, CpuExecutable)
    numbers, two = np.array([1, 2, 3], np.float32), np.array(2, np.float32)
    product, less = np.empty(3, np.float32), np.empty(3, np.bool_)
    njit_function(built)((numbers, two, product, less))
    assert product.tolist() == [2, 4, 6]
    assert less.tolist() == [True, False, False]
