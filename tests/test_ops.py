"""Every operator, held to its own numpy meaning: types, elements, gradients and all backends.

The examples come from `Operator.samples()`; a new operator needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.backends.base import StagedBackend, Target
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Graph, Input, Node
from dhc.ir.scalar import Buffer, Scalar
from dhc.ir.types import DType, Tensor
from dhc.lower.to_kernels import BufferOperand, row_major
from dhc.ops.base import Array, Composite, Elementwise, Operator, axis_variable, operators, run
from dhc.ops.sample import Sample
from dhc.passes.manager import run_passes
from dhc.passes.widen import widen
from dhc.targets import make_backend

MADE_BY_PASSES = {
    "region", "shared", "all_reduce", "all_reduce_start", "all_reduce_wait", "bucket_part",
}  # fmt: skip
BACKENDS = {
    "reference": Target("reference"),
    "cpu": Target("cpu"),
    "opencl": Target("opencl"),
    "cuda": Target("cuda", options={"device": "shim"}),
    "gpu": Target("cuda"),
    "fpga": Target("fpga"),
    "numba": Target("cpu", options={"engine": "numba"}),
}
BATCH = 40  # samples in one graph: few compilations, and failures that are still easy to place


def _samples() -> dict[str, Sample]:
    found = {}
    for name, operator in sorted(operators.items()):
        for i, sample in enumerate(operator.samples()):
            found[f"{name}-{i}"] = sample
    return found


SAMPLES = _samples()
each_sample = pytest.mark.parametrize("name", SAMPLES)


def _operator(sample: Sample) -> Operator:
    assert isinstance(sample.op, Operator)
    return sample.op


def _wide(arrays: Sequence[Array]) -> list[Array]:
    return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]


@cache
def _expected(name: str) -> Array:
    """The numpy meaning in f64."""
    sample = SAMPLES[name]
    with np.errstate(all="ignore"):
        return np.asarray(_operator(sample).numpy(*_wide(sample.arrays())))


def _check(actual: Array, expected: Array) -> None:
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    finite = expected[np.isfinite(expected)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6 * max(scale, 1.0))


def test_every_operator_has_samples() -> None:
    core = {
        name: each for name, each in operators.items() if each.__module__.startswith("dhc.ops.")
    }
    without = {name for name, operator in core.items() if not operator.samples()}
    assert without <= MADE_BY_PASSES


@each_sample
def test_inferred_type_is_what_numpy_gives(name: str) -> None:
    sample = SAMPLES[name]
    with np.errstate(all="ignore"):
        result = np.asarray(_operator(sample).numpy(*sample.arrays()))
    type = sample.op.infer(*sample.types)
    assert result.shape == type.static_shape
    assert result.dtype == type.dtype.numpy


@each_sample
def test_element_agrees_with_numpy(name: str) -> None:
    sample = SAMPLES[name]
    if isinstance(sample.op, Composite):
        pytest.skip("a composite has no element of its own")
    if type(sample.op).element is Operator.element:
        pytest.skip("it has loops of its own; every backend runs them below")
    out = sample.op.infer(*sample.types)
    operands = [BufferOperand(row_major(f"x{i}", t), t) for i, t in enumerate(sample.types)]
    places = tuple(axis_variable(f"i{k}", size) for k, size in enumerate(out.shape))
    expression = _operator(sample).element(out, places, *operands)
    assert expression.dtype is out.dtype
    memory: dict[Buffer, Array] = {
        o.buffer: a for o, a in zip(operands, sample.arrays(), strict=True)
    }
    grids = np.meshgrid(*(np.arange(s) for s in out.static_shape), indexing="ij", sparse=True)
    values: dict[Scalar, Array] = dict(zip(places, grids, strict=True))
    result = np.broadcast_to(evaluate(expression, values, memory), out.static_shape)
    _check(result, _expected(name))


# ---- gradients -------------------------------------------------------------------------------


def _differentiable() -> list[str]:
    return [
        name
        for name, sample in SAMPLES.items()
        if sample.op.infer(*sample.types).dtype.is_float
        and any(type.dtype.is_float for type in sample.types)
    ]


def _wide_types(sample: Sample) -> list[Tensor]:
    """The types with f64 in place of f32, except for `map`, whose expression has types."""
    if sample.op.name == "map":
        return list(sample.types)
    return [t.with_dtype(DType.F64) if t.dtype.is_float else t for t in sample.types]


def _wide_operator(sample: Sample) -> Operator:
    """The operator with a body in f64, if it has a body."""
    body = getattr(sample.op, "body", None)
    operator = replace(sample.op, body=widen(body)) if isinstance(body, Graph) else sample.op  # type: ignore[call-arg]
    assert isinstance(operator, Operator)
    return operator


@pytest.mark.parametrize("name", _differentiable())
def test_gradient_agrees_with_differences(name: str) -> None:
    sample = SAMPLES[name]
    labels = [f"x{i}" for i in range(len(sample.types))]
    types = _wide_types(sample)
    nodes = [Input(label, t)() for label, t in zip(labels, types, strict=True)]
    operator = _wide_operator(sample)
    output = operator(*nodes)
    upstream = Input("up", output.type)()
    try:
        gradients = operator.grad(upstream, output, *nodes)
    except NotImplementedError as reason:
        assert not isinstance(sample.op, Elementwise)
        pytest.skip(str(reason))
    arrays = _wide(sample.arrays())
    random = np.random.default_rng(1).normal(size=output.type.static_shape)
    for position, gradient in enumerate(gradients):
        if gradient is None:
            assert not sample.types[position].dtype.is_float
            continue
        assert gradient.type == nodes[position].type
        values = dict(zip(labels, arrays, strict=True)) | {"up": random}
        (computed,) = run([gradient], values)
        differences = _differences(_operator(sample), arrays, position, random)
        np.testing.assert_allclose(computed, differences, rtol=1e-6, atol=1e-7)


def _differences(operator: Operator, arrays: list[Array], position: int, up: Array) -> Array:
    """Central differences of `sum(up * result)` for one input."""
    step = 1e-6
    result = np.zeros(arrays[position].shape)
    for place in np.ndindex(result.shape):
        ends = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[position][place] += sign * step
            ends.append(float(np.sum(up * operator.numpy(*moved))))
        result[place] = (ends[0] - ends[1]) / (2 * step)
    return result


# ---- backends --------------------------------------------------------------------------------


def _batches() -> list[list[str]]:
    """The first samples of all operators, then what further samples there are."""
    firsts = [name for name in SAMPLES if name.endswith("-0")]
    others = [name for name in SAMPLES if not name.endswith("-0")]
    return [names[i : i + BATCH] for names in (firsts, others) for i in range(0, len(names), BATCH)]


def _inputs(name: str) -> list[Node]:
    label = name.replace("-", "_")
    return [Input(f"{label}_{i}", t)() for i, t in enumerate(SAMPLES[name].types)]


@cache
def _results(backend: str, first: str) -> dict[str, Array]:
    """The results of one batch of samples, from one program with one output for each."""
    names = next(batch for batch in _batches() if batch[0] == first)
    inputs = {name: _inputs(name) for name in names}
    outputs = [(name.replace("-", "_"), SAMPLES[name].op(*nodes)) for name, nodes in inputs.items()]
    graph = Graph("ops", tuple(n for nodes in inputs.values() for n in nodes), tuple(outputs))
    program = compile_graph(graph, BACKENDS[backend])
    arrays = {
        f"{name.replace('-', '_')}_{i}": array
        for name in names
        for i, array in enumerate(SAMPLES[name].arrays())
    }
    return program(**arrays)


def _on_backends() -> Iterator[object]:
    """Yields backends, samples, and the first sample of the batch that shares their program.

    What shares a program stands together, so that parallel runs seldom make it twice. Numba takes
    long to compile, so that all but the first batch are slow tests there.
    """
    for backend in BACKENDS:
        for place, names in enumerate(_batches()):
            marks = [pytest.mark.gpu] if backend == "gpu" else []
            if backend == "numba" and place:
                marks.append(pytest.mark.slow)
            for name in names:
                id = f"{name}-{backend}"
                yield pytest.param(backend, name, names[0], marks=marks, id=id)


@pytest.mark.parametrize(("backend", "name", "first"), list(_on_backends()))
def test_backend_agrees_with_numpy(backend: str, name: str, first: str) -> None:
    result = _results(backend, first)[name.replace("-", "_")]
    type: Tensor = SAMPLES[name].op.infer(*SAMPLES[name].types)
    assert result.dtype == type.dtype.numpy
    _check(result, _expected(name))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
@pytest.mark.parametrize("first", [batch[0] for batch in _batches()])
def test_cuda_compiles_every_operator(first: str, architecture: str) -> None:
    """All samples of a batch as one translation unit, with NVIDIA's compiler and no GPU."""
    pytest.importorskip("cuda.bindings.nvrtc")
    from dhc.backends.cuda.nvrtc import compile_offline

    names = next(batch for batch in _batches() if batch[0] == first)
    nodes = {name: _inputs(name) for name in names}
    outputs = tuple((name.replace("-", "_"), SAMPLES[name].op(*nodes[name])) for name in names)
    graph = Graph("ops", tuple(n for each in nodes.values() for n in each), outputs)
    backend = make_backend(Target("cuda"))
    assert isinstance(backend, StagedBackend)
    source = backend.lower(run_passes(graph, COMMON_PASSES)).source
    assert compile_offline(source.text, architecture).startswith(b"\x7fELF")
