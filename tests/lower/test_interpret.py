"""The interpreter of kernels against each operator's numpy meaning, and its own safety."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.ir.graph import Input, Node
from dhc.ir.scalar import Buffer, Load, Reduce, Scalar, Var
from dhc.ir.size import symbol
from dhc.ir.text import parse_kernel
from dhc.ir.types import DType, Tensor
from dhc.lower.expand_math import expand_math_in_kernel
from dhc.lower.interpret import Memory, interpret
from dhc.lower.schedule import Grid, Loops, Schedule
from dhc.lower.to_kernels import kernel_of, materialise
from dhc.ops.activation import Sigmoid
from dhc.ops.base import run
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Cast, Mul
from dhc.ops.reduce import ReduceMax
from dhc.ops.shape import Concat, Permute, Reshape

F32, I64 = DType.F32, DType.I64
SHAPES = {"x": (2, 2, 4, 3), "w": (3, 2, 3, 3), "row": (4, 1)}


def _leaf(name: str, dtype: DType = F32) -> Node:
    return Input(name, Tensor(dtype, SHAPES[name]))()


def _nodes() -> dict[str, Node]:
    x, weight, row = (_leaf(name) for name in SHAPES)
    return {
        "conv": Conv((2, 1), ((1, 1), (1, 1)), (1, 1))(x, weight),
        "product": Mul()(x, row),
        "sigmoid": Sigmoid()(x),
        "reshape": Reshape((8, 6))(x),
        "permute": Permute((0, 3, 1, 2))(x),
        "concat": Concat(2)(x, x),
        "max": ReduceMax((2, 3))(x),
        "bytes": Cast(DType.U8, True)(x),
    }


@pytest.mark.parametrize("schedule", [Loops(), Grid(8)])
@pytest.mark.parametrize("name", _nodes())
def test_kernels_compute_what_the_operator_means(name: str, schedule: Schedule) -> None:
    node = _nodes()[name]
    random = np.random.default_rng(5)
    values = {k: random.normal(0, 3, shape).astype(np.float32) for k, shape in SHAPES.items()}
    out = np.zeros(node.type.static_shape, node.type.dtype.numpy)
    operands = [values[source.op.label] for source in node.inputs if isinstance(source.op, Input)]
    interpret(expand_math_in_kernel(kernel_of(node, "k", schedule)), [out, *operands])
    np.testing.assert_allclose(out, run([node], values)[0], rtol=1e-5, atol=1e-6)


def test_run_time_sizes() -> None:
    x = Input("x", Tensor(F32, (symbol("N"), symbol("H") * 2)))()
    kernel = kernel_of(Permute((1, 0))(x), "k", Loops())
    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    out = np.zeros((4, 3), np.float32)
    interpret(kernel, [out, data], {"N": 3, "H": 2})
    assert np.array_equal(out, data.T)


@pytest.mark.parametrize("kind", ["argmax", "argmin"])
def test_positions_of_extremes(kind: str) -> None:
    from dhc.ir.kernel import Kernel, Store
    from dhc.ir.scalar import index

    a, out = Buffer("a", F32, (6,), (1,)), Buffer("out", I64, (1,), (1,))
    axis = Var("r", I64, 6)
    value: Scalar = Reduce(kind, (axis,), Load(a, (axis,)))  # type: ignore[arg-type]
    kernel = Kernel("k", (out, a), materialise(value, lambda v: (Store(out, (index(0),), v),)))
    for data in ([3, 1, 4, 1, 5, 5], [1, np.nan, 7, np.nan, 0, 0], [np.inf] * 6, [-np.inf] * 6):
        result, array = np.array([-1]), np.array(data, np.float32)
        interpret(kernel, [result, array])
        assert result[0] == getattr(np, kind)(array)


# ---- memory ----------------------------------------------------------------------------------

SUM = """
kernel k(out: f32[2, 3], x: f32[2, 3] strides (5, 1)) writes 1 {
  for i0 < 2 {
    for i1 < 3 {
      out[i0, i1] = x[i0, i1 + -1] + x[i0, i1 + 1]
    }
  }
}
"""


def test_halos_are_read_through_strides_and_offset() -> None:
    storage = np.arange(12, dtype=np.float32)
    out = np.zeros((2, 3), np.float32)
    interpret(parse_kernel(SUM), [out, Memory(storage, 1)])
    rows = np.lib.stride_tricks.as_strided(storage, (2, 5), (20, 4))
    assert np.array_equal(out, rows[:, :-2] + rows[:, 2:])


def test_arrays_without_halo_keep_to_their_shape() -> None:
    out, x = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    with pytest.raises(IndexError, match="'x'"):
        interpret(parse_kernel(SUM), [out, x])
    with pytest.raises(IndexError, match="shape"):
        interpret(parse_kernel(SUM), [out, x[:1]])
    with pytest.raises(IndexError, match="outside"):
        interpret(parse_kernel(SUM), [out, Memory(np.zeros(10, np.float32))])


def test_guards_keep_inner_reads_from_happening() -> None:
    kernel = parse_kernel(
        """
        kernel k(out: f32[4], x: f32[3], where: i64[3]) writes 1 {
          for i < 4 {
            out[i] = x[where[i] if i < 3 else f32(-1.0)]
          }
        }
        """
    )
    out, x = np.zeros(4, np.float32), np.array([1, 2, 3], np.float32)
    interpret(kernel, [out, x, np.array([2, 0, 1])])
    assert out.tolist() == [3, 1, 2, -1]


def test_scratch_memory_is_new_in_each_turn() -> None:
    kernel = parse_kernel(
        """
        kernel k(out: f32[2], x: f32[2]) writes 1 {
          for i < 2 {
            alloc old: f32[1]
            if i < 1 { old[0] = 1.0 }
            out[i] = old[0]
          }
        }
        """
    )
    out = np.zeros(2, np.float32)
    interpret(kernel, [out, np.zeros(2, np.float32)])
    assert out[0] == 1
    assert np.isnan(out[1])
