"""Expressions and kernels print and parse back to the same objects."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dhc.errors import DhcError
from dhc.ir.kernel import (
    Alloc,
    Assign,
    Barrier,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Statement,
    Store,
)
from dhc.ir.scalar import (
    Binary,
    Bitcast,
    Buffer,
    Cast,
    Compare,
    Const,
    Fma,
    Load,
    Reduce,
    Scalar,
    Select,
    Unary,
    Var,
    fma,
    index,
)
from dhc.ir.text import parse_kernel, parse_scalar, print_kernel, print_scalar
from dhc.ir.types import DType

F32, I64 = DType.F32, DType.I64

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

SIZE = Var("N", I64)
BUFFERS = (
    Buffer("a", F32, (4, 6), (6, 1)),
    Buffer("b", F32, (4, 6), (16, 2), "shared"),
    Buffer("for", F32, (SIZE, SIZE * 2 + 1), (SIZE * 2 + 1, index(1))),
    Buffer("a", F32, (8, 8), (8, 1)),
)
INDICES = (Var("i", I64, 4), Var("j", I64), SIZE)
FLOATS = (Var("x", F32), Var("y.z", F32), Var("odd `name`", F32), Var("inf", F32), Var("max", F32))
AXES = (Var("c", I64, 3), Var("k", I64, 0), Var("i", I64, 9), Var("open", I64))

_relations = st.sampled_from(["lt", "le", "eq", "ne", "gt", "ge"])


def integers() -> st.SearchStrategy[Scalar]:
    leaves = st.sampled_from(INDICES) | st.integers(-(2**63), 2**63 - 1).map(
        lambda n: Const(n, I64)
    )
    functions = st.sampled_from(["add", "sub", "mul", "floordiv", "mod", "and", "or", "shl", "shr"])
    return st.recursive(
        leaves,
        lambda inner: (
            st.builds(Binary, functions, inner, inner)
            | st.builds(Unary, st.sampled_from(["neg", "not"]), inner)
        ),
        max_leaves=4,
    )


def floats() -> st.SearchStrategy[Scalar]:
    """f32 expressions with every kind of part, not simplified."""
    numbers = st.floats(width=32).map(lambda v: Const(v, F32))
    leaves = st.sampled_from(FLOATS) | numbers | _loads()
    return st.recursive(leaves, _larger, max_leaves=12)


def _loads() -> st.SearchStrategy[Scalar]:
    place = st.tuples(integers(), integers())
    buffers = st.sampled_from(BUFFERS)
    guards = st.builds(Compare, _relations, integers(), integers())
    guarded = st.builds(Load, buffers, place, guards, st.just(Const(-0.0, F32)))
    return st.builds(Load, buffers, place) | guarded


def _larger(inner: st.SearchStrategy[Scalar]) -> st.SearchStrategy[Scalar]:
    functions = st.sampled_from(["neg", "abs", "exp", "tanh", "sqrt", "floor"])
    operators = st.sampled_from(["add", "sub", "mul", "div", "min", "pow", "floordiv", "mod"])
    conditions = st.builds(Compare, _relations, inner, inner)
    joined = st.builds(Binary, st.sampled_from(["and", "or", "xor"]), conditions, conditions)
    bits = st.builds(Bitcast, inner, st.just(DType.U32))
    moved = st.builds(Binary, st.just("shl"), bits, st.just(Const(3, DType.U32)))
    bytes_ = st.builds(Cast, inner, st.just(DType.U8), st.booleans())
    axes = st.lists(st.sampled_from(AXES), unique=True).map(tuple)
    return st.one_of(
        st.builds(Unary, functions, inner),
        st.builds(Binary, operators, inner, inner),
        st.builds(Select, joined | st.builds(Unary, st.just("not"), conditions), inner, inner),
        st.builds(Fma, inner, inner, inner),
        st.builds(Cast, bytes_, st.just(F32)),
        st.builds(Bitcast, moved, st.just(F32)),
        st.builds(Reduce, st.sampled_from(["sum", "max", "argmin"]), axes, inner).map(_as_float),
    )


def _as_float(value: Scalar) -> Scalar:
    return value if value.dtype is F32 else Cast(value, F32)


@relaxed
@given(floats())
def test_expressions_come_back(expression: Scalar) -> None:
    assert parse_scalar(print_scalar(expression)) is expression


@pytest.mark.parametrize("dtype", list(DType))
def test_constants_of_every_type_come_back(dtype: DType) -> None:
    numbers = [0, 1, -1, 0.1, -0.0, 1e30, float("inf"), float("-inf"), float("nan")]
    for number in numbers:
        if dtype.is_float or number in (0, 1) or (number == -1 and dtype.is_signed):
            constant = Const(number, dtype)
            assert parse_scalar(print_scalar(constant)) is constant
            if dtype is not DType.BOOL:
                negated = Unary("neg", constant)
                assert parse_scalar(print_scalar(negated)) is negated


def test_deep_and_shared_expressions_stay_short() -> None:
    x: Scalar = FLOATS[0]
    deep = x
    for _ in range(2000):
        deep = fma(deep, x, deep)
    text = print_scalar(deep)
    assert len(text) < 100_000
    assert parse_scalar(text) is deep


def test_reductions_within_reductions_come_back() -> None:
    value: Scalar = FLOATS[0]
    for axis in AXES:
        value = Reduce("sum", (axis,), Load(BUFFERS[0], (axis, AXES[0])) * value)
    assert parse_scalar(print_scalar(value)) is value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected 'fn'"),
        ("fn() => x", "'x' is not declared"),
        ("fn(x: f32) => x + 1", "'add' of f32 and i64"),
        ("fn(x: f32) => frob(x)", "no function 'frob'"),
        ("fn(x: f32) => exp(x, x)", "no function 'exp' of 2"),
        ("fn(x: f99) => x", "no element type 'f99'"),
        ("fn() => u8(256)", "cannot hold"),
        ("fn() => 99999999999999999999", "cannot hold"),
        ("fn() => $0", "'$0' is not defined"),
        ("fn(a: f32[2]) => a[0, 1]", "1 axes, not 2"),
        ("fn(a: f32[2]) => a[0.5]", "f32, not i64"),
        ("fn(a: f32[2]) => a[0 if true]", "not both"),
        ("fn(x: f32) => select(x, x, x)", "bool condition"),
        ("fn(x: f32) => bitcast(x, u8)", "'bitcast'"),
        ("fn(x: f32) => x x", "Nothing may follow"),
        ("fn(x: f32) => (x", "Expected ')' but the text ends"),
        ("fn(x: f32) => x ?", "No token"),
        ("fn(x: f32) => " + "(" * 500 + "x" + ")" * 500, "nests deeper"),
        ("fn(x: f32) => " + "-" * 5000 + "x", "nests deeper"),
    ],
)
def test_wrong_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(DhcError) as caught:
        parse_scalar(text)
    assert message in str(caught.value)


# ---- kernels ---------------------------------------------------------------------------------


def statements() -> st.SearchStrategy[Statement]:
    variables = st.sampled_from(FLOATS)
    place = st.tuples(integers(), integers())
    simple = st.one_of(
        st.builds(Let, variables, floats()),
        st.builds(Declare, variables, floats()),
        st.builds(Assign, variables, floats()),
        st.builds(Store, st.sampled_from(BUFFERS), place, floats()),
        st.builds(Alloc, st.sampled_from(BUFFERS)),
        st.just(Barrier()),
    )
    return st.recursive(simple, _blocks, max_leaves=6)


def _blocks(inner: st.SearchStrategy[Statement]) -> st.SearchStrategy[Statement]:
    body = st.lists(inner, max_size=3).map(tuple)
    kinds = st.sampled_from(["serial", "parallel", "block", "thread", "unroll", "pipeline"])
    extents = st.sampled_from([index(4), index(9), SIZE, SIZE * 2])
    names = st.sampled_from([*AXES, Var("thread", I64, 4)])
    conditions = st.builds(Compare, _relations, floats(), floats())
    loops = st.builds(For, names, extents, body, kinds)
    return loops | st.builds(If, conditions, body, body)


@relaxed
@given(st.lists(statements(), max_size=4).map(tuple))
def test_kernels_come_back(body: tuple[Statement, ...]) -> None:
    kernel = Kernel("k 1", BUFFERS[:3], body, (SIZE,), 2)
    assert parse_kernel(print_kernel(kernel)) == kernel


def test_variables_may_be_called_like_reductions() -> None:
    """A body after one is none of a reduction, and a reduction over one is none of a body."""
    largest, x = Var("max", F32), Var("x", F32)
    whole = Reduce("max", (), largest)
    assert parse_scalar(print_scalar(whole)) == whole
    test = If(Compare("lt", x, largest), (), ())
    kernel = Kernel("k", BUFFERS[:3], (Let(largest, x), Let(x, whole), test), (SIZE,), 2)
    assert "if x < `max` {" in print_kernel(kernel)
    assert parse_kernel(print_kernel(kernel)) == kernel


READABLE = """\
kernel scale<N>(out: f32[N, 8], x: f32[N, 8], w: f32[8] strides (2) shared) writes 1 {
  for parallel i0 < N {
    for i1 < 8 {
      acc0: f32 = 0.0
      for c < 3 {
        let t0: i64 = i1 + c + -1
        acc0 := fma(x[i0, t0 if t0 >= 0 & t0 < 8 else 0.0], w[i1], acc0)
      }
      if i1 < 4 {
        out[i0, i1] = max(acc0, 0.0)
      } else {
        out[i0, i1] = -acc0 * (x[i0, i1] - u8(3))
      }
      barrier
    }
  }
}
"""


def test_kernels_are_readable() -> None:
    text = READABLE.replace("u8(3)", "0.5")
    assert print_kernel(parse_kernel(text)) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("acc0 :=", "acc1 :="), "'acc1' is not declared"),
        (("- u8(3)", "- u8(3)"), "'sub' of f32 and u8"),
        (("w[i1]", "w[i1, c]"), "1 axes, not 2"),
        (("writes 1", "writes"), "whole number"),
        (("let t0: i64 =", "let t0: i64[3] ="), "declare it with 'alloc'"),
        (("x: f32[N, 8]", "x: f32"), "needs a shape"),
        (("barrier\n    }\n  }\n", "barrier\n    }\n"), "text ends"),
    ],
)
def test_wrong_kernels_are_refused(change: tuple[str, str], message: str) -> None:
    text = READABLE if "u8" in change[0] else READABLE.replace("u8(3)", "0.5")
    assert change[0] in text
    with pytest.raises(DhcError) as caught:
        parse_kernel(text.replace(*change))
    assert message in str(caught.value)
