"""The vector kernel of resampling: every stored type, borders, odd sizes and memory orders."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.backends.base import StagedBackend, Target
from dhc.backends.cpu.kernels.warp import WarpKernel
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.ir.graph import Array, Graph, Input, Node, literal
from dhc.ir.types import DType, Tensor
from dhc.ops.affine import AffineResize, AffineRotation
from dhc.ops.base import run
from dhc.ops.elementwise import Cast
from dhc.ops.intensity import Normalize, ToFloat
from dhc.ops.warp import AffineWarp
from dhc.passes.manager import run_passes
from dhc.targets import make_backend

CASES = {
    "u8 rgb": ("u8", (3, 37, 41), (20, 33)),
    "u8 rgba": ("u8", (4, 16, 21), (17, 16)),
    "u8 grey": ("u8", (1, 33, 35), (40, 50)),
    "u16 grey": ("u16", (1, 19, 23), (16, 40)),
    "i16 grey": ("i16", (1, 19, 23), (16, 40)),
    "u16 two": ("u16", (2, 19, 23), (16, 19)),
    "f32 grey": ("f32", (1, 19, 23), (31, 40)),
}


def _graph(name: str, border: str, turned: bool = True) -> Graph:
    dtype, shape, size = CASES[name]
    x = Input("x", Tensor(DType(dtype), shape))()
    pixels: Node = x if dtype == "f32" else Cast(DType.F32)(x)
    if dtype in ("u8", "u16"):
        pixels = ToFloat()(x)
    matrix = AffineResize(shape[1:], size)()
    if turned:
        matrix = AffineRotation(shape[1:])(literal(25.0, DType.F32))
    warped = AffineWarp(size, "linear", border, 0.25)(pixels, matrix)  # type: ignore[arg-type]
    return Graph("warp", (x,), (("y", Normalize((0.5,), (0.25,), 0)(warped)),))


def _picture(name: str) -> Array:
    dtype, shape, _ = CASES[name]
    generator = np.random.default_rng(0)
    if dtype == "f32":
        return generator.standard_normal(shape).astype("f4")
    info = np.iinfo(DType(dtype).numpy)
    return generator.integers(info.min, info.max + 1, shape).astype(DType(dtype).numpy)


def _expected(graph: Graph, x: Array) -> Array:
    return run([graph.outputs[0][1]], {"x": x.astype("f8") if x.dtype.kind == "f" else x})[0]


@pytest.mark.parametrize("turned", [True, False], ids=["turned", "resized"])
@pytest.mark.parametrize("border", ["constant", "replicate"])
@pytest.mark.parametrize("isa", ["", "avx2"])
@pytest.mark.parametrize("name", CASES)
def test_results_agree_with_the_definition(name: str, isa: str, border: str, turned: bool) -> None:
    graph, x = _graph(name, border, turned), _picture(name)
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    found = compile_graph(graph, target)(x=x)["y"]
    expected = _expected(graph, x)
    near = np.isclose(found, expected, atol=2e-4 * np.abs(expected).max(), rtol=1e-4)
    assert near.mean() > 0.998  # a pixel at the border may fall on its other side


@pytest.mark.parametrize("name", CASES)
def test_the_vector_kernel_is_used(name: str) -> None:
    backend = make_backend(Target("cpu"))
    assert isinstance(backend, StagedBackend)
    plan = backend.lower(run_passes(_graph(name, "constant"), COMMON_PASSES, [])).plan
    assert any(isinstance(step.kernel, WarpKernel) for step in plan.steps)


def test_planes_and_pixels_give_the_same() -> None:
    graph, planes = _graph("u8 rgb", "constant"), _picture("u8 rgb")
    program = compile_graph(graph, "cpu")
    pixels = np.moveaxis(np.ascontiguousarray(np.moveaxis(planes, 0, -1)), -1, 0)
    assert not pixels.flags.c_contiguous
    np.testing.assert_array_equal(program(x=planes)["y"], program(x=pixels)["y"])


def test_pixels_at_the_end_of_a_page_are_read_safely() -> None:
    """The last pair of pixels is read with eight bytes, which must not leave the array's page."""
    import mmap

    graph, picture = _graph("u8 grey", "replicate"), _picture("u8 grey")
    room = mmap.mmap(-1, mmap.PAGESIZE)
    array = np.frombuffer(room, np.uint8)[-picture.size :].reshape(picture.shape)
    array[...] = picture
    np.testing.assert_array_equal(
        compile_graph(graph, "cpu")(x=array)["y"], compile_graph(graph, "cpu")(x=picture)["y"]
    )
