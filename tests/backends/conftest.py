"""What tests of backends share: fifteen small networks, each of one kernel or a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from dhc.backends.base import Lowered, StagedBackend, Target
from dhc.driver import COMMON_PASSES
from dhc.ir.graph import Graph, Input, Node, Param, literal, topological
from dhc.ir.types import DType
from dhc.ops.activation import Relu
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add, Cast, Clip, Div, Sub
from dhc.ops.linear import Dense
from dhc.ops.lookup import Gather
from dhc.ops.movement import Pad
from dhc.ops.norm import BatchNorm
from dhc.ops.pool import AveragePool, MaxPool
from dhc.ops.reduce import ReduceMean, ReduceSum
from dhc.ops.resize import Resize
from dhc.ops.sample import tensor
from dhc.ops.shape import Concat
from dhc.ops.softmax import Softmax
from dhc.passes.manager import run_passes
from dhc.targets import find_backend

KERNELS: dict[str, Callable[[], Node]] = {}


def _kernel(build: Callable[[], Node]) -> Callable[[], Node]:
    KERNELS[build.__name__] = build
    return build


def _input(type: str, label: str = "x") -> Node:
    return Input(label, tensor(type))()


def _weight(path: str, type: str) -> Node:
    return Param(path, tensor(type))()


@_kernel
def relu() -> Node:
    return Relu()(_input("f32[2, 8]"))


@_kernel
def add_broadcast() -> Node:
    return Add()(_input("f32[2, 3, 4]", "a"), _input("f32[3, 1]", "b"))


@_kernel
def conv3x3() -> Node:
    x, weight = _input("f32[1, 3, 6, 5]"), _weight("weight", "f32[4, 3, 3, 3]")
    return Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, weight)


@_kernel
def depthwise() -> Node:
    x, weight = _input("f32[1, 4, 6, 5]"), _weight("weight", "f32[4, 1, 3, 3]")
    return Conv((2, 2), ((1, 1), (1, 1)), (1, 1), 4)(x, weight)


@_kernel
def dense() -> Node:
    matrix, bias = _weight("weight", "f32[4, 5]"), _weight("bias", "f32[4]")
    return Dense()(_input("f32[2, 5]"), matrix, bias)


@_kernel
def max_pool() -> Node:
    return MaxPool((3, 3), (2, 2), ((1, 1), (1, 1)))(_input("f32[1, 2, 6, 6]"))


@_kernel
def average_pool() -> Node:
    pads = ((1, 1), (1, 1))
    return AveragePool((2, 2), (2, 2), pads, False, False)(_input("f32[1, 2, 6, 6]"))


@_kernel
def global_pool() -> Node:
    return ReduceMean((2, 3), True)(_input("f32[1, 4, 6, 5]"))


@_kernel
def softmax() -> Node:
    return Softmax(-1)(_input("f32[2, 5]"))


@_kernel
def concat() -> Node:
    return Concat(1)(_input("f32[1, 2, 4]", "a"), _input("f32[1, 3, 4]", "b"))


@_kernel
def pad() -> Node:
    return Pad(((0, 0), (2, 1)), "reflect")(_input("f32[2, 4]"))


@_kernel
def resize_bilinear() -> Node:
    return Resize((6, 8))(_input("f32[1, 2, 3, 4]"))


@_kernel
def conv_batchnorm_add_relu() -> Node:
    x, weight = _input("f32[1, 3, 6, 5]"), _weight("conv.weight", "f32[4, 3, 3, 3]")
    conv = Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, weight)
    names = ("scale", "bias", "mean", "variance")
    normal = BatchNorm()(conv, *(_weight(f"norm.{name}", "f32[4]") for name in names))
    return Relu()(Add()(normal, _input("f32[1, 4, 6, 5]", "shortcut")))


@_kernel
def reduce_sum() -> Node:
    return ReduceSum((1,))(_input("f32[2, 3, 4]"))


@_kernel
def gather() -> Node:
    return Gather(0)(_input("f32[6, 4]"), _input("i32[3]", "rows"))


@_kernel
def window_u8() -> Node:
    """A window of grey values: what is brighter or darker is clipped."""
    values = Cast(DType.F32)(_input("u8[4, 6]"))
    scaled = Div()(Sub()(values, literal(100.0, DType.F32)), literal(80.0, DType.F32))
    return Clip(0.0, 1.0)(Add()(scaled, literal(0.5, DType.F32)))


# ---- fixtures ----------------------------------------------------------------------------------

Lower = Callable[[str, Target], Lowered]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs every test with an argument `kernel` for each of the networks."""
    if "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", KERNELS)


def network(name: str) -> Graph:
    """Returns the graph of a kernel after the passes that all backends share."""
    output = KERNELS[name]()
    inputs = tuple(node for node in topological((output,)) if isinstance(node.op, Input))
    return run_passes(Graph(name, inputs, (("y", output),)), COMMON_PASSES)


@pytest.fixture(scope="session")
def all_kernels() -> tuple[str, ...]:
    return tuple(KERNELS)


@pytest.fixture(scope="session")
def lower() -> Iterator[Lower]:
    """Lowers one of the networks for a target."""

    def lowered(name: str, target: Target) -> Lowered:
        backend = find_backend(target.backend)(target)
        assert isinstance(backend, StagedBackend)
        return backend.lower(network(name))

    return lowered
