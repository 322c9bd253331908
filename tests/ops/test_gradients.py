"""Gradients where samples do not lead: unusual attributes, open sizes, and a whole network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.driver import compile_graph
from dhc.frontend import load_text
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Graph, Input, Node
from dhc.ir.scalar import Scalar
from dhc.ir.size import substitute, symbol
from dhc.ir.types import DType, Tensor
from dhc.lower.to_kernels import BufferOperand, row_major
from dhc.ops.base import Operator, axis_variable, operators, run
from dhc.ops.differentiate import pull_back
from dhc.passes.bind_sizes import bind_sizes

N, H, W = symbol("N"), symbol("H"), symbol("W")
Arrays = list[np.ndarray]


def gradients(operator: Operator, types: list[Tensor]) -> tuple[list[Node], list[Node | None]]:
    """Inputs x0, x1, ..., and the gradient for each; the upstream gradient is called `up`."""
    nodes = [Input(f"x{i}", type)() for i, type in enumerate(types)]
    output = operator(*nodes)
    upstream = Input("up", output.type)()
    return nodes, list(operator.grad(upstream, output, *nodes))


def randoms(*shapes: tuple[int, ...]) -> Arrays:
    random = np.random.default_rng(0)
    return [random.normal(size=shape) for shape in shapes]


def check(operator: Operator, arrays: Arrays) -> None:
    """Holds the gradient for each float array to central differences."""
    types = [Tensor(DType(f"{a.dtype.kind}{a.dtype.itemsize * 8}"), a.shape) for a in arrays]
    nodes, found = gradients(operator, types)
    up = np.random.default_rng(1).normal(size=operator.numpy(*arrays).shape)
    values = {f"x{i}": array for i, array in enumerate(arrays)} | {"up": up}
    for position, gradient in enumerate(found):
        if gradient is None:
            assert arrays[position].dtype.kind != "f"
            continue
        assert gradient.type == nodes[position].type
        (computed,) = run([gradient], values)
        np.testing.assert_allclose(
            computed, differences(operator, arrays, position, up), rtol=1e-6, atol=1e-7
        )


def differences(operator: Operator, arrays: Arrays, position: int, up: np.ndarray) -> np.ndarray:
    step, result = 1e-6, np.zeros(arrays[position].shape)
    for place in np.ndindex(result.shape):
        ends = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[position][place] += sign * step
            ends.append(float(np.sum(up * operator.numpy(*moved))))
        result[place] = (ends[0] - ends[1]) / (2 * step)
    return result


def check_open(operator: Operator, types: list[Tensor], sizes: dict[str, int]) -> None:
    """Holds gradients built for open sizes, and bound later, to those built for the sizes."""
    bound = [t.with_shape(tuple(substitute(s, sizes) for s in t.shape)) for t in types]
    arrays = randoms(*(t.static_shape for t in bound))
    closed = operator.substitute(sizes)
    assert isinstance(closed, Operator)
    up = np.random.default_rng(1).normal(size=closed.numpy(*arrays).shape)
    values = {f"x{i}": array for i, array in enumerate(arrays)} | {"up": up}
    nodes, found = gradients(operator, types)
    expected = run([g for g in gradients(closed, bound)[1] if g is not None], values)
    for node, gradient, other in zip(nodes, found, expected, strict=True):
        assert gradient is not None
        assert str(gradient.type) == str(node.type)
        np.testing.assert_allclose(run([bind(gradient, sizes)], values)[0], other, rtol=1e-12)


def bind(node: Node, sizes: dict[str, int]) -> Node:
    return node.op.substitute(sizes)(*(bind(source, sizes) for source in node.inputs))


def by_elements(operator: Operator, x: np.ndarray) -> np.ndarray:
    """The result of an operator with one input, from its definition of one element."""
    type = Tensor(DType.F64, x.shape)
    out = operator.infer(type)
    operand = BufferOperand(row_major("x0", type), type)
    places = tuple(axis_variable(f"i{k}", size) for k, size in enumerate(out.shape))
    grids = np.meshgrid(*(np.arange(s) for s in out.static_shape), indexing="ij", sparse=True)
    values: dict[Scalar, np.ndarray] = dict(zip(places, grids, strict=True))
    return evaluate(operator.element(out, places, operand), values, {operand.buffer: x})


def f64(*shape: object) -> Tensor:
    return Tensor(DType.F64, tuple(shape))  # type: ignore[arg-type]


def make(name: str, *attributes: object, **named: object) -> Operator:
    return operators[name](*attributes, **named)


# ---- convolution -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "x", "weight"),
    [
        (((1,), ((3, 4),), (1,)), (1, 2, 3), (2, 2, 2)),  # more zeros than the kernel is wide
        (((1, 1), ((0, 0), (0, 0)), (2, 1)), (2, 2, 5, 3), (3, 2, 3, 1)),
        (((3,), ((0, 1),), (1,)), (2, 1, 9), (2, 1, 2)),  # places that no window reaches
        (((2, 2), ((0, 0), (0, 0)), (1, 1)), (1, 2, 6, 5), (3, 2, 1, 1)),
        (((1, 1), ((1, 1), (1, 1)), (1, 1), 3), (2, 3, 4, 3), (6, 1, 3, 3)),  # depthwise
    ],
)
def test_convolution(
    attributes: tuple[object, ...], x: tuple[int, ...], weight: tuple[int, ...]
) -> None:
    check(make("conv", *attributes), randoms(x, weight, weight[:1]))


@pytest.mark.parametrize(
    "attributes",
    [
        ((2,), ((0, 0),), (3,), (1,)),  # more is added than one stride
        ((2,), ((1, 2),), (3,), (2,)),
        ((3,), ((2, 0),), (0,), (1,)),  # a stride beyond the kernel
        ((2,), ((0, 1),), (1,), (1,), 2),
    ],
)
def test_transposed_convolution(attributes: tuple[object, ...]) -> None:
    groups = attributes[4] if len(attributes) > 4 else 1
    assert isinstance(groups, int)
    check(make("conv_transpose", *attributes), randoms((2, 4, 5), (4, 2, 2), (2 * groups,)))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_convolution_of_open_sizes(stride: int) -> None:
    operator = make("conv", (stride, stride), ((1, 1), (0, 1)), (1, 1))
    sizes = {"N": 2, "H": 7, "W": 6}
    check_open(operator, [f64(N, 3, H, W), f64(2, 3, 3, 2), f64(2)], sizes)


def test_transposed_convolution_of_open_sizes() -> None:
    operator = make("conv_transpose", (2, 2), ((1, 0), (0, 1)), (1, 2), (1, 1))
    sizes = {"N": 2, "H": 3, "W": 4}
    check_open(operator, [f64(N, 3, H, W), f64(3, 2, 3, 2), f64(2)], sizes)


# ---- matrix products -------------------------------------------------------------------------


def test_dense_of_one_sample() -> None:
    check(make("dense"), randoms((5,), (3, 5), (3,)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3, 4), (4, 2)),
        ((3, 4), (2, 5, 4, 2)),
        ((2, 1, 3, 4), (1, 5, 4, 1)),
        ((1, 1), (2, 1, 3)),
    ],
)
def test_matrix_product_of_batches(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    check(make("matmul"), randoms(a, b))


def test_matrix_products_of_open_sizes() -> None:
    check_open(make("dense"), [f64(N, H, 4), f64(3, 4), f64(3)], {"N": 2, "H": 3})
    check_open(make("matmul"), [f64(N, 1, 4, H), f64(3, H, 2)], {"N": 2, "H": 3})


# ---- average pooling -------------------------------------------------------------------------


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(
    ("window", "x"),
    [
        (((2,), (3,), ((0, 0),)), (1, 2, 7)),  # elements between windows and after the last
        (((3,), (2,), ((1, 0),), True), (1, 1, 7)),  # the last window hangs over
        (((4, 2), (1, 3), ((2, 3), (1, 0)), True), (1, 2, 4, 6)),
    ],
)
def test_average_pooling(
    window: tuple[object, ...], x: tuple[int, ...], count_include_pad: bool
) -> None:
    check(make("average_pool", *window, count_include_pad=count_include_pad), randoms(x))


def test_average_pooling_of_open_sizes() -> None:
    operator = make("average_pool", (3, 2), (2, 2), ((1, 1), (0, 0)), count_include_pad=False)
    check_open(operator, [f64(N, 2, H, W)], {"N": 2, "H": 6, "W": 5})


# ---- padding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "wrap"])
def test_padding_on_every_side(mode: str) -> None:
    check(make("pad", ((3, 2), (0, 1), (1, 0)), mode), randoms((4, 2, 2)))
    check_open(make("pad", ((3, 2), (0, 1)), mode), [f64(H, W)], {"H": 4, "W": 2})


# ---- lookups ---------------------------------------------------------------------------------


def test_entries_taken_twice_are_added_and_missing_ones_dropped() -> None:
    indices = np.array([[0, 2, 2], [-1, 7, -9]])
    upstream = np.arange(1.0, 7.0).reshape(1, 2, 3)
    for dtype in (np.int32, np.int64):
        found = make("gather_grad", 3, 1).numpy(upstream, indices.astype(dtype))
        np.testing.assert_array_equal(found, [[1, 0, 2 + 3 + 4]])


def test_lookups() -> None:
    (x,) = randoms((3, 4, 2))
    indices = np.array([[1, -4, 3], [9, 1, 0]])
    for axis in (0, 1, -1):
        check(make("gather", axis), [x, indices])
    many = np.random.default_rng(2).integers(-5, 5, (2, 6, 2))
    check(make("gather_elements", 1), [x, many])
    check(make("gather_elements", 1), [x, many.astype(np.uint8)])


def test_lookups_of_open_sizes() -> None:
    image, indices = Tensor(DType.F64, (N, H, 3)), Tensor(DType.I64, (W, 2))
    _, (gradient, none) = gradients(make("gather", 1), [image, indices])
    assert none is None
    assert gradient is not None
    assert str(gradient.type) == "f64[N, H, 3]"
    bound = bind(gradient, {"N": 2, "H": 4, "W": 5})
    assert str(bound.type) == "f64[2, 4, 3]"


# ---- resizing --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
)
@pytest.mark.parametrize("way", ["linear", "cubic", "floor", "ceil", "round_prefer_ceil"])
def test_resizing_between_all_small_sizes(coordinates: str, way: str) -> None:
    """The definition for one element sums over a window, which must miss nothing."""
    smooth = way in ("linear", "cubic")
    name, field = ("resize", "mode") if smooth else ("resize_nearest", "rounding")
    for source, target in itertools.product(range(1, 8), range(1, 12)):
        forward = make(name, (target,), coordinates, **{field: way})
        back = make(f"{name}_grad", 0, source, coordinates, **{field: way})
        matrix, unit = forward.numpy(np.eye(source)), np.eye(target)
        np.testing.assert_allclose(back.numpy(unit), matrix, atol=1e-12)
        np.testing.assert_allclose(by_elements(back, unit), matrix, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarging_of_open_sizes(factor: int) -> None:
    size = (H * factor, W * factor)
    sizes = {"N": 1, "H": 3, "W": 2}
    for operator in (
        make("resize", size),
        make("resize", size, "align_corners", mode="cubic"),
        make("resize_nearest", size, "asymmetric", rounding="floor"),
    ):
        check_open(operator, [f64(N, 2, H, W)], sizes)


# ---- affine maps -----------------------------------------------------------------------------


def test_matrices_of_open_sizes() -> None:
    sizes = {"H": 5, "W": 8}
    for name, count in (("affine_rotation", 1), ("affine_zoom", 2), ("affine_shear", 2)):
        check_open(make(name, (H, W * 2)), [f64()] * count, sizes)


@pytest.mark.parametrize("border", ["constant", "replicate"])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic"])
def test_warp_by_a_turn_in_the_plane(interpolation: str, border: str) -> None:
    matrix = make("affine_rotation", (5, 6)).numpy(np.asarray(17.0)) * 1.1
    (x,) = randoms((2, 1, 5, 6))
    check(make("affine_warp", (4, 7), interpolation, border, 0.5), [x, matrix])


def test_warp_that_stays_in_place_passes_gradients_on() -> None:
    (up,) = randoms((3, 4, 5))
    still = np.array([[1.0, 0, 0], [0, 1, 0]])
    found = make("affine_warp_grad", (4, 5), "cubic").numpy(up, still)
    np.testing.assert_allclose(found, up)


def test_warp_of_open_sizes() -> None:
    types = [f64(N, H, W), f64(2, 3)]
    for interpolation in ("nearest", "linear"):
        check_open(make("affine_warp", (H, 4), interpolation), types, {"N": 2, "H": 3, "W": 5})


# ---- a whole network -------------------------------------------------------------------------

NETWORK = """
    block unit(c, s=1) { conv(c, kernel=3, stride=s, pad=same) -> batchnorm() -> relu() }
    model Net() {
        input x: f32[N, 2, 8, 8]
        a = x -> unit(4)
        b = a -> unit(6, s=2) -> depthwise(3, pad=same) -> avgpool(2)
        c = b -> upsample(2, mode=bilinear) -> conv_transpose(4, kernel=2, stride=2)
        d = concat(a, c) -> pad(1, mode=reflect) -> conv(3, kernel=3, groups=1) -> maxpool(2)
        output y = d -> flatten() -> dense(5) -> softmax()
    }
"""


@pytest.mark.parametrize("target", ["reference", "cpu", "opencl"])
def test_gradients_of_a_network_on_backends(target: str) -> None:
    """A small step of each weight changes the result as its gradient says."""
    graph = load_text(NETWORK).model("Net").graph
    (output,) = graph.roots
    trained = [param for param in graph.params if param.trainable]
    upstream = Input("up", output.type)()
    found = pull_back(output, upstream, [param() for param in trained])
    outputs = [(f"g{i}", node) for i, node in enumerate(found) if node is not None]
    assert len(outputs) == len(trained)
    backward = Graph("backward", (*graph.inputs, upstream), tuple(outputs))

    random = np.random.default_rng(3)
    weights = {p.path: random.normal(0.05, 0.2, p.type.static_shape) for p in graph.params}
    positive = ("variance", "scale")
    weights = {k: abs(v) + 0.5 if k.endswith(positive) else v for k, v in weights.items()}
    x, up = random.normal(size=(2, 2, 8, 8)), random.normal(size=(2, 5))
    forward = bind_sizes(graph, {"N": 2}).roots
    needed = {p.path: weights[p.path].astype(np.float32) for p in backward.params}
    program = compile_graph(backward, target, parameters=needed)
    computed = program(x=x.astype(np.float32), up=up.astype(np.float32))

    for i, param in enumerate(trained):
        way = random.normal(size=param.type.static_shape)

        def result(step: float, path: str = param.path, way: np.ndarray = way) -> float:
            moved = weights | {path: weights[path] + step * way, "x": x}
            return float(np.sum(up * run(forward, moved)[0]))

        expected = (result(1e-6) - result(-1e-6)) / 2e-6
        slope = np.vdot(computed[f"g{i}"], way)  # type: ignore[arg-type]
        assert abs(expected) > 1e-4
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5)
