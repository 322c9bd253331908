"""Operators written outside of the package: one class each, and they work everywhere.

What stands between the two rules is all that a contributor writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.graph import Graph, Input, Node
from dhc.ir.scalar import Scalar, cast, clamp, floor, reduce_over, sqrt
from dhc.ir.scalar import index as to_index
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Elementwise,
    Index,
    Operand,
    Operator,
    Structured,
    TypeRuleError,
    axis_variable,
    forget,
    op,
    operators,
    run,
)
from dhc.ops.sample import Sample, sample

TARGETS = {
    "reference": Target("reference"),
    "cpu": Target("cpu"),
    "numba": Target("cpu", options={"engine": "numba"}),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "fpga": Target("fpga"),
}
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


# ---- an activation -----------------------------------------------------------------------------


@pytest.fixture
def squareplus() -> Iterator[type[Operator]]:
    # --------------------------------------------------------------------------------------------
    @op("squareplus")
    class Squareplus(Elementwise):
        """(x + sqrt(x^2 + b)) / 2: smooth like softplus (arXiv:2112.11687)."""

        b: float = 4.0

        def scalar(self, x: Scalar) -> Scalar:
            return (x + sqrt(x * x + self.b)) / 2

    # --------------------------------------------------------------------------------------------
    yield Squareplus
    forget("squareplus")


TEXT = """
    model M() {
        input x: f32[N, 2, 5, 5]
        output y = x -> conv(3, kernel=3, pad=same) -> squareplus(b=2) -> maxpool(2)
    }
"""


@pytest.mark.usefixtures("squareplus")
@each_target
def test_a_new_activation_works_on_every_backend(target: Target) -> None:
    graph = load_text(TEXT).model("M").graph
    x = np.random.default_rng(0).normal(size=(2, 2, 5, 5)).astype(np.float32)
    program = compile_graph(graph, target)
    weights = {param.path: param for param in graph.params}
    assert set(weights) == {"y.conv.weight", "y.conv.bias"}
    expected = compile_graph(graph, "reference")(x=x)["y"]
    np.testing.assert_allclose(program(x=x)["y"], expected, rtol=1e-4, atol=1e-5)


def test_its_numbers_and_its_gradient_follow_from_the_expression(
    squareplus: type[Operator],
) -> None:
    x = np.linspace(-3, 3, 7)
    node = Input("x", Tensor(DType.F64, (7,)))()
    output = squareplus()(node)
    (gradient,) = squareplus().grad(Input("up", output.type)(), output, node)
    assert gradient is not None
    value, slope = run([output, gradient], {"x": x, "up": np.ones(7)})
    np.testing.assert_allclose(value, (x + np.sqrt(x * x + 4)) / 2)
    np.testing.assert_allclose(slope, (1 + x / np.sqrt(x * x + 4)) / 2)


@pytest.mark.usefixtures("squareplus")
def test_its_mistakes_are_reported_like_those_of_any_other() -> None:
    with pytest.raises(DhcError, match="'squareplus' has no argument 'c'"):
        load_text(TEXT.replace("b=2", "c=2"))


def test_it_is_gone_afterwards() -> None:
    assert "squareplus" not in operators
    with pytest.raises(DhcError, match="'squareplus'"):
        load_text(TEXT)


# ---- a structured operator -----------------------------------------------------------------------


@pytest.fixture
def deformable() -> Iterator[type[Operator]]:
    # --------------------------------------------------------------------------------------------
    @op("deform_conv")
    class DeformableConv(Structured):
        """Convolution whose taps are moved by offsets that are inputs (arXiv:1703.06211).

        x is [N, C, H, W], offsets are [N, 2 * KH * KW, H', W'] with (down, right) of each tap in
        pixels, weights are [K, C, KH, KW]. Between pixels it interpolates; outside are zeros.
        """

        stride: int = 1
        pad: int = 0

        def infer(self, x: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
            taps = 2 * weight.shape[2] * weight.shape[3]
            plane = [
                (x.shape[2 + i] + 2 * self.pad - weight.shape[2 + i]) // self.stride + 1
                for i in range(2)
            ]
            if offsets.shape != (x.shape[0], taps, *plane):
                raise TypeRuleError(f"'{self.name}' needs {taps} offsets for each place.", 1)
            return x.with_shape((x.shape[0], weight.shape[0], *plane))

        def element(
            self, out: Tensor, index: Index, x: Operand, offsets: Operand, weight: Operand
        ) -> Scalar:
            n, k, row, column = index
            _, channels, height, width = weight.type.shape
            c, i, j = (
                axis_variable(name, size)
                for name, size in zip("cij", (channels, height, width), strict=True)
            )
            tap = (i * width + j) * 2
            down = offsets[(n, tap, row, column)] + self._start(row, i, x)
            right = offsets[(n, tap + 1, row, column)] + self._start(column, j, x)
            value = self._between(x, n, c, down, right) * weight[(k, c, i, j)]
            return reduce_over("sum", (c, i, j), value)

        def _start(self, place: Scalar, tap: Scalar, x: Operand) -> Scalar:
            return cast(place * self.stride + tap - self.pad, x.type.dtype)

        def _between(self, x: Operand, n: Scalar, c: Scalar, down: Scalar, right: Scalar) -> Scalar:
            total = down * 0
            for rows in range(2):
                for columns in range(2):
                    y, weight_y = self._neighbour(down, rows, x.type.shape[2])
                    z, weight_z = self._neighbour(right, columns, x.type.shape[3])
                    total = total + x.padded((n, c, y, z)) * weight_y * weight_z
            return total

        def _neighbour(self, place: Scalar, k: int, size: int) -> tuple[Scalar, Scalar]:
            """A pixel beside a place, and its share; far outside every pixel is missing."""
            below = floor(clamp(place, -2, size + 1))
            part = clamp(place, -2, size + 1) - below
            return cast(below, DType.I64) + to_index(k), part if k else 1 - part

        def numpy(self, x: Array, offsets: Array, weight: Array) -> Array:
            filters, channels, height, width = weight.shape
            result = np.zeros((x.shape[0], filters, *offsets.shape[2:]), x.dtype)
            for n, row, column in np.ndindex(x.shape[0], *offsets.shape[2:]):
                for i, j in np.ndindex(height, width):
                    tap = (i * width + j) * 2
                    down, right = offsets[n, tap : tap + 2, row, column]
                    down += row * self.stride + i - self.pad
                    right += column * self.stride + j - self.pad
                    pixel = np.zeros(channels)
                    for y, z in np.ndindex(x.shape[2:]):
                        near = max(0, 1 - abs(y - down)) * max(0, 1 - abs(z - right))
                        pixel += near * x[n, :, y, z]
                    result[n, :, row, column] += weight[:, :, i, j] @ pixel
            return result

        @classmethod
        def samples(cls) -> Sequence[Sample]:
            plain = ("f32[2, 2, 5, 4]", "f32[2, 8, 4, 3]", "f32[3, 2, 2, 2]")
            wide = ("f32[1, 2, 5, 6]", "f32[1, 18, 3, 3]", "f32[2, 2, 3, 3]")
            ranges = ((-2.0, 2.0), (-3.5, 3.5), (-1.0, 1.0))
            return [
                sample(cls(), *plain, ranges=ranges),
                sample(cls(stride=2, pad=1), *wide, ranges=ranges),
            ]

    # --------------------------------------------------------------------------------------------
    yield DeformableConv
    forget("deform_conv")


def graph_of(each: Sample) -> tuple[Graph, dict[str, Array]]:
    nodes: list[Node] = [Input(f"x{i}", type)() for i, type in enumerate(each.types)]
    arrays = {f"x{i}": array for i, array in enumerate(each.arrays())}
    return Graph("extension", tuple(nodes), (("y", each.op(*nodes)),)), arrays


@each_target
def test_a_structured_operator_works_on_every_backend(
    deformable: type[Operator], target: Target
) -> None:
    for each in deformable.samples():
        graph, arrays = graph_of(each)
        expected = deformable.numpy(each.op, *arrays.values())  # type: ignore[arg-type]
        found = compile_graph(graph, target)(**arrays)["y"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_offsets_of_zero_are_a_convolution(deformable: type[Operator]) -> None:
    each = deformable.samples()[0]
    graph, arrays = graph_of(each)
    arrays["x1"][:] = 0
    windows = np.lib.stride_tricks.sliding_window_view(arrays["x0"], (2, 2), axis=(2, 3))
    expected = np.einsum("nchwij,kcij->nkhw", windows, arrays["x2"])
    np.testing.assert_allclose(run(graph.roots, arrays)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("deformable")
def test_it_is_called_by_its_name() -> None:
    text = """
        model M() {
            input x: f32[1, 2, 6, 6]
            input kernels: f32[4, 2, 3, 3]
            offsets = x -> conv(18, kernel=3, pad=same)
            output y = deform_conv(x, offsets, kernels, pad=1) -> relu()
        }
    """
    graph = load_text(text).model("M").graph
    assert str(dict(graph.outputs)["y"].type) == "f32[1, 4, 6, 6]"
    with pytest.raises(DhcError, match="'deform_conv' needs 18 offsets for each place"):
        load_text(text.replace("conv(18", "conv(8")).model("M")
