"""The verifier passes what is right and catches seeded mistakes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from dhc.ir.graph import Constant, Graph, Input, Node, Op, Param
from dhc.ir.kernel import Kernel, Store
from dhc.ir.scalar import Binary, Buffer, Const, Reduce, Var
from dhc.ir.size import collecting, symbol
from dhc.ir.text import parse_kernel
from dhc.ir.types import DType, Tensor
from dhc.ir.verify import InternalError, verify_graph, verify_kernel
from dhc.lower.expand_math import expand_math_in_kernel
from dhc.lower.schedule import Grid, Loops, Schedule
from dhc.lower.to_kernels import kernel_of
from dhc.ops.activation import Relu, Sigmoid
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Add, Map
from dhc.ops.reduce import ReduceMean
from dhc.ops.region import Region
from dhc.ops.shape import Concat, Permute, Reshape

F32, I64 = DType.F32, DType.I64
N, H = symbol("N"), symbol("H")


def _nodes() -> dict[str, Node]:
    x = Input("x", Tensor(F32, (2, 4, 6, 5)))()
    wide = Input("wide", Tensor(F32, (N, 4, H, 8)))()
    weight = Param("w", Tensor(F32, (3, 4, 3, 3)))()
    return {
        "conv": Conv((2, 1), ((1, 1), (1, 1)), (1, 1))(x, weight),
        "conv, run-time sizes": Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(wide, weight),
        "sigmoid": Sigmoid()(wide),
        "reshape": Reshape((8, 30))(x),
        "permute": Permute((0, 3, 1, 2))(wide),
        "concat": Concat(1)(x, x, x),
        "mean": ReduceMean((2, 3))(x),
    }


SCHEDULES: list[Schedule] = [Loops(), Grid(16)]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", _nodes())
def test_lowered_kernels_are_valid(name: str, schedule: Schedule) -> None:
    kernel = kernel_of(_nodes()[name], "k", schedule)
    verify_kernel(kernel)
    verify_kernel(expand_math_in_kernel(kernel))


# ---- mistakes in kernels ---------------------------------------------------------------------

PADDED = """
kernel k(out: f32[2, 6], x: f32[2, 6], w: f32[3]) writes 1 {
  for parallel i0 < 2 {
    for i1 < 6 {
      acc0: f32 = 0.0
      for k0 < 3 {
        let t0: i64 = i1 + k0 + -1
        acc0 := fma(x[i0, t0 if t0 >= 0 & t0 < 6 else 0.0], w[k0], acc0)
      }
      out[i0, i1] = acc0
    }
  }
}
"""
BLOCKS = """
kernel k(out: f32[70], x: f32[70]) writes 1 {
  for block block within none < 5 {
    alloc tile: f32[16] shared
    for thread thread < 16 {
      let place: i64 = block * 16 + thread
      tile[thread] = x[place if place < 70 else 0.0]
      barrier
      if place < 70 {
        let i0: i64 < 70 = place
        out[i0] = tile[15 - thread]
      }
    }
  }
}
"""
OPEN = """
kernel k<N>(out: f32[N, 8], x: f32[N, 8]) writes 1 {
  for parallel i0 < N {
    for i1 < 8 {
      out[i0, i1] = x[i0, i1]
    }
  }
}
"""


@pytest.mark.parametrize("text", [PADDED, BLOCKS, OPEN])
def test_the_kernels_without_mistakes_are_valid(text: str) -> None:
    verify_kernel(parse_kernel(text))


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (PADDED, " if t0 >= 0 & t0 < 6 else 0.0", "", "Index -1 on axis 1 of 'x'"),
        (PADDED, "t0 < 6", "t0 <= 6", "Index 6 on axis 1 of 'x'"),
        (PADDED, "t0 >= 0 & ", "", "Index -1 on axis 1 of 'x'"),
        (PADDED, "for i1 < 6", "for i1 < 7", "outside 0..5"),
        (PADDED, "w[k0]", "w[k0 + 1]", "Index 3 on axis 0 of 'w'"),
        (PADDED, "w: f32[3]", "w: f32[2]", "Index 2 on axis 0 of 'w'"),
        (PADDED, "out[i0, i1] = acc0", "out[0, i1] = acc0", "store to one element"),
        (PADDED, "out[i0, i1] = acc0", "x[i0, i1] = acc0", "'x', which is an input"),
        (PADDED, "out[i0, i1] = acc0", "out[i0, i1 + i0] = acc0", "outside 0..5"),
        (PADDED, "writes 1", "writes 4", "writes 4 of 3 buffers"),
        (PADDED, "for i1 < 6", "for i1 within 4 < 6", "said to stay below 4"),
        (
            PADDED,
            "for k0 < 3",
            "for i1 < 3 { } for k0 < 3",
            "'i1' is declared where it is already in use",
        ),
        (PADDED, "for k0 < 3", "for z: i32 < 3 { } for k0 < 3", "'z' is i32"),
        (PADDED, "acc0: f32 = 0.0", "let acc0: f32 = 0.0", "not declared as a variable"),
        (PADDED, "acc0: f32 = 0.0", "acc0: f32 = f64(0.0)", "is f64 where f32 is needed"),
        (BLOCKS, "if place < 70 {", "if place < 71 {", "Index 70 on axis 0 of 'out'"),
        (BLOCKS, "if place < 70 else", "if place < 80 else", "of 'x'"),
        (BLOCKS, "out[i0] =", "out[i0 // 2] =", "thread loop 'thread' store to one element"),
        (BLOCKS, "tile[thread] =", "tile[thread // 2] =", "thread loop 'thread' store"),
        (BLOCKS, "tile[15 - thread]", "tile[16 - thread]", "Index 16 on axis 0 of 'tile'"),
        (BLOCKS, "if place < 70 {", "if place < 70 { barrier", "inside an 'if'"),
        (BLOCKS, "block * 16", "block * 8", "block loop 'block' store to one element"),
        (OPEN, "out[i0, i1] =", "out[i0, 3] =", ""),
        (OPEN, "x[i0, i1]", "x[i0, i1 + 1]", "Index 8 on axis 1 of 'x'"),
    ],
)
def test_mistakes_in_kernels_are_caught(text: str, old: str, new: str, message: str) -> None:
    assert old in text
    kernel = parse_kernel(text.replace(old, new))
    if not message:  # allowed: turns of the parallel loop still write different rows
        verify_kernel(kernel)
        return
    with pytest.raises(InternalError) as caught:
        verify_kernel(kernel)
    assert message in str(caught.value)
    assert "kernel k" in str(caught.value)


def test_parallel_turns_must_not_share_a_variable() -> None:
    text = PADDED.replace("for k0 < 3", "for parallel k0 < 3")
    with pytest.raises(InternalError, match="all assign 'acc0'"):
        verify_kernel(parse_kernel(text))


def test_scopes_are_checked() -> None:
    x, out = (Buffer(name, F32, (4,), (1,)) for name in ("x", "out"))
    i = Var("i", I64, 4)
    store = Store(out, (i,), Const(1.0, F32))
    for body, message in (
        ((store,), "'i' is used where it is not defined"),
        ((replace(store, buffer=x),), "'x', which is not known"),
        ((replace(store, value=Reduce("sum", (i,), Var("a", F32))),), "has not become loops"),
        ((replace(store, index=()),), "1 axes, not 0"),
        ((replace(store, value=Binary("add", Const(1.0, F32), i)),), "'add' of f32 and i64"),
    ):
        with pytest.raises(InternalError) as caught:
            verify_kernel(Kernel("k", (out,), body))
        assert message in str(caught.value)


def test_halos_allow_negative_indices() -> None:
    text = PADDED.replace(" if t0 >= 0 & t0 < 6 else 0.0", "").replace(
        "x: f32[2, 6]", "x: f32[2, 6] strides (8, 1)"
    )
    verify_kernel(parse_kernel(text))


def test_large_loops_are_tried_at_their_corners() -> None:
    text = """
    kernel k(out: f32[100, 100, 100], x: f32[100, 100, 100]) writes 1 {
      for parallel a < 100 { for b < 100 { for c < 100 {
        out[a, b, c] = x[a, b, (c + b + 1) - b]
      } } }
    }
    """
    with pytest.raises(InternalError, match="Index 100 on axis 2"):
        verify_kernel(parse_kernel(text))
    race = text.replace("out[a, b, c]", "out[99 - b, b, c]").replace("(c + b + 1) - b", "c")
    with pytest.raises(InternalError, match="one element"):
        verify_kernel(parse_kernel(race))


# ---- graphs ----------------------------------------------------------------------------------


def _graph() -> Graph:
    x = Input("x", Tensor(F32, (N, 3, H, 8)))()
    weight = Param("w", Tensor(F32, (4, 3, 3, 3)))()
    conv = Conv((1, 1), ((1, 1), (1, 1)), (1, 1))(x, weight)
    data = np.zeros(8, np.float32)
    shifted = Add()(conv, Constant("d", Tensor(F32, (8,)))())
    return Graph("g", (x,), (("y", shifted),), (), {}, {"d": data})


def test_graphs_without_mistakes_are_valid() -> None:
    with collecting() as constraints:
        verify_graph(_graph())
    assert not constraints.equal


@dataclass(frozen=True)
class Listed(Op):
    """An operator whose attribute cannot be hashed."""

    name: ClassVar[str] = "test_listed"
    items: tuple[list[int], ...]

    def infer(self, *inputs: Tensor) -> Tensor:
        return inputs[0]

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'list'")


def _wrong_graphs() -> dict[str, Graph]:
    graph = _graph()
    x, y = graph.inputs[0], graph.outputs[0][1]
    other = Input("x", Tensor(F32, (2,)))()
    wrong_type = Node(Relu(), (y,), Tensor(F32, (N, 4, H, 9)))
    wrong_input = Node(Relu(), (), Tensor(F32, ()))
    body = Binary("add", Var("x0", F32), Var("n", I64))
    mixed = Node(Map(Binary("mul", body, body)), (x,), x.type)
    inner = Graph("inner", (), (("r", wrong_type),))
    second = Param("w", Tensor(F32, (4, 3, 3, 3)), trainable=False)()
    pair = Node(Add(), (second, second), second.type)
    return {
        "gives f32[N, 4, H, 8]": replace(graph, outputs=(("y", wrong_type),)),
        "cannot take its inputs": replace(graph, outputs=(("y", wrong_input),)),
        "used but not listed": replace(graph, inputs=()),
        "two inputs 'x'": replace(graph, inputs=(x, other)),
        "two outputs 'y'": replace(graph, outputs=(("y", y), ("y", x))),
        "two updates 'm'": replace(graph, updates=(("m", y), ("m", x))),
        "listed as an input": replace(graph, inputs=(x, y)),
        "constant d is missing": replace(graph, constants={}),
        "constant d is int64[8]": replace(graph, constants={"d": np.zeros(8, np.int64)}),
        "two different parameters 'w'": replace(graph, outputs=(("y", y), ("z", pair))),
        "'add' of f32 and i64": replace(graph, outputs=(("y", mixed),)),
        "graph 'inner' is not valid": replace(
            graph, outputs=(("y", Node(Region(inner), (), wrong_type.type)),)
        ),
    }


@pytest.mark.parametrize("message", _wrong_graphs())
def test_mistakes_in_graphs_are_caught(message: str) -> None:
    with pytest.raises(InternalError) as caught:
        verify_graph(_wrong_graphs()[message])
    assert message in str(caught.value)


def test_attributes_must_be_hashable() -> None:
    x = _graph().inputs[0]
    with pytest.raises(TypeError, match="unhashable"):
        Listed(([1],))(x)
    with pytest.raises(InternalError, match="cannot be hashed"):
        verify_graph(Graph("g", (x,), (("y", Listed(())(x)),)))


def test_reports_tell_where_a_node_came_from() -> None:
    from dhc.ir.graph import Origin

    graph = _graph()
    wrong = Node(Relu(), (graph.inputs[0],), Tensor(F32, ()))
    broken = replace(graph, outputs=(("y", wrong),), origins={wrong: (Origin(None, "e1.act"),)})
    with pytest.raises(InternalError, match=r"from e1\.act"):
        verify_graph(broken)
