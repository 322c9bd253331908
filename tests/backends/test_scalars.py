"""Every operation of the scalar language on every backend, at the values where types end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from dhc.backends.base import Executable, StagedBackend, Target
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.scalar import Binary, Bitcast, Cast, Compare, Fma, Scalar, Select, Unary, Var
from dhc.ir.types import DType, Tensor
from dhc.ops.elementwise import Map
from dhc.targets import find_backend

BACKENDS = {
    "cpu": Target("cpu", threads=2),
    "generic": Target("cpu", threads=2, options={"isa": "generic"}),
    "numba": Target("cpu", options={"engine": "numba"}),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "gpu": Target("cuda"),
    "fpga": Target("fpga"),
}
FLOATS = (DType.F16, DType.F32, DType.F64)
INTEGERS = tuple(dtype for dtype in DType if dtype.is_integer and not dtype.is_narrow)
APPROXIMATE = ("exp", "log", "tanh", "erf", "sin", "cos", "pow")
SINE_LIMIT = 1e5
"""Beyond it the distance of neighbouring f32 numbers makes a sine meaningless."""
HALVES = ("cpu", "generic")
"""The backends that compute in half precision, on any machine."""
OFTEN = (DType.BOOL, DType.I32, DType.U64, DType.U8, DType.F32)
RELATIONS = ("lt", "le", "eq", "ne", "gt", "ge")
BITS = {
    DType.F32: (DType.I32, DType.U32), DType.F64: (DType.I64, DType.U64),
    DType.I32: (DType.U32, DType.F32), DType.U64: (DType.I64, DType.F64),
    DType.F16: (DType.I16, DType.U16), DType.U16: (DType.F16,),
}  # fmt: skip
Case = tuple[str, Scalar, bool]


def _values(dtype: DType) -> Array:
    if dtype is DType.BOOL:
        return np.array([False, True])
    if dtype.is_float:
        numbers = [0.0, -0.0, 1.0, -1.5, 2.5, 3.5, -7.0, 0.1, 1e-3, 300.7, -70000.0, 3e10]
        with np.errstate(over="ignore"):
            return np.array([*numbers, math.inf, -math.inf, math.nan], dtype.numpy)
    info = np.iinfo(dtype.numpy)
    if dtype in (DType.I64, DType.U64):  # i64 must not overflow
        return np.array([0, 1, 2, 3, 7, 200, *([-1, -2, -7] * dtype.is_signed)], dtype.numpy)
    ends = [info.min, info.min + 1, info.max // 2, info.max - 1, info.max]
    return np.array([0, 1, 2, 3, 7, *([-1, -2, -7] * dtype.is_signed), *ends], dtype.numpy)


def _pairs(values: Array, others: Array) -> tuple[Array, Array]:
    left, right = np.meshgrid(values, others)
    return left.reshape(-1), right.reshape(-1)


def _cases(dtype: DType, half: bool) -> Iterator[Case]:
    """Yields name, expression of x0 and x1, and whether its result must be exact."""
    x, y = Var("x0", dtype), Var("x1", dtype)
    for unary in _unary_functions(dtype):
        yield unary, Unary(unary, x), unary not in APPROXIMATE  # type: ignore[arg-type]
    for binary in _binary_functions(dtype):
        yield binary, Binary(binary, x, y), True  # type: ignore[arg-type]
    for relation in RELATIONS:
        yield relation, Compare(relation, x, y), True  # type: ignore[arg-type]
    yield "select", Select(Compare("lt", x, y), x, y), True
    for target in DType:
        if target == dtype or target.is_narrow or (target is DType.F16 and not half):
            continue
        if not dtype.is_float or target.is_float or target is DType.BOOL:
            yield f"to_{target}", Cast(x, target), True
        if target.is_integer and dtype is not DType.BOOL:
            yield f"saturate_{target}", Cast(x, target, saturate=True), True
    for target in BITS.get(dtype, ()):
        if target is DType.F16 and not half:
            continue
        yield f"bits_{target}", Bitcast(x, target), True
    if dtype.is_float:
        yield "fma", Fma(x, y, x), True


def _unary_functions(dtype: DType) -> tuple[str, ...]:
    if dtype is DType.BOOL:
        return ("not",)
    if dtype.is_integer:
        return ("neg", "abs", "not")
    exact = ("neg", "abs", "sqrt", "floor", "ceil", "round", "trunc")
    return (*exact, *(name for name in APPROXIMATE if name != "pow"))


def _binary_functions(dtype: DType) -> tuple[str, ...]:
    if dtype is DType.BOOL:
        return ("and", "or", "xor", "min", "max")
    if dtype.is_float:
        return ("add", "sub", "mul", "div", "min", "max", "mod", "floordiv")
    return ("add", "sub", "mul", "min", "max", "mod", "floordiv", "and", "or", "xor")


def _small_cases(dtype: DType) -> Iterator[Case]:
    """Yields what is defined only where the second operand is small."""
    x, y = Var("x0", dtype), Var("x1", dtype)
    for function in ("shl", "shr", "pow") if dtype.is_integer else ():
        yield function, Binary(function, x, y), True  # type: ignore[arg-type]


def _executable(graph: Graph, target: Target) -> Executable:
    backend = find_backend(target.backend)(target)
    assert isinstance(backend, StagedBackend)
    executable = backend.build(backend.lower(graph).source)
    executable.load({})
    return executable


def _wrong(backend: str, dtype: DType, cases: Sequence[Case], arrays: Sequence[Array]) -> list[str]:
    """Returns where results differ from the meaning of the expressions."""
    type = Tensor(dtype, arrays[0].shape)
    nodes = (Input("x0", type)(), Input("x1", type)())
    outputs = tuple((f"o_{name}", Map(expression)(*nodes)) for name, expression, _ in cases)
    given = {"x0": arrays[0], "x1": arrays[1]}
    results = _executable(Graph("scalars", nodes, outputs), BACKENDS[backend])(given)
    variables = {Var(name, dtype): array for name, array in given.items()}
    wrong = []
    for name, expression, exact in cases:
        expected = evaluate(expression, variables)
        wrong += _differences(name, results[f"o_{name}"], expected, arrays, exact)
    return wrong


def _marked() -> Iterator[object]:
    """Yields backends with element types; where compilers take long, some types in every run."""
    for backend in BACKENDS:
        for dtype in (DType.BOOL, *INTEGERS, *FLOATS[backend not in HALVES :]):
            marks = [pytest.mark.gpu] if backend == "gpu" else []
            if backend in ("numba", "opencl") and dtype not in OFTEN:
                marks.append(pytest.mark.slow)
            yield pytest.param(backend, dtype, marks=marks, id=f"{backend}-{dtype}")


@pytest.mark.parametrize(("backend", "dtype"), list(_marked()))
def test_operations_agree_with_their_definition(backend: str, dtype: DType) -> None:
    cases = list(_cases(dtype, backend in HALVES))
    wrong = _wrong(backend, dtype, cases, _pairs(_values(dtype), _values(dtype)))
    if dtype.is_integer:
        small = np.arange(8).astype(dtype.numpy)
        wrong += _wrong(backend, dtype, list(_small_cases(dtype)), _pairs(_values(dtype), small))
    assert not wrong, "\n".join(wrong)


def _differences(
    name: str, actual: Array, expected: Array, operands: Sequence[Array], exact: bool
) -> list[str]:
    with np.errstate(all="ignore"):
        same = (actual == expected) | ((actual != actual) & (expected != expected))
        if not exact:
            huge = np.abs(operands[0]) > SINE_LIMIT if name in ("sin", "cos") else False
            same |= np.isclose(actual, expected, rtol=1e-5, atol=1e-6) | huge
    return [
        f"{name}({operands[0][k]}, {operands[1][k]}) = {actual[k]}, not {expected[k]}"
        for k in np.flatnonzero(~same)[:3]
    ]
