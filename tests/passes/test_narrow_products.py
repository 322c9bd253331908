"""Narrow precisions: what is rounded, how far the results are off, on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph, passes_for
from dhc.frontend import load_text
from dhc.ir.evaluate import convert
from dhc.ir.graph import Array, Graph, Node, topological
from dhc.ir.types import DType
from dhc.numerics import CheckNumerics
from dhc.ops.base import Operator
from dhc.ops.elementwise import Mul, Sub
from dhc.ops.narrow import RoundBf16
from dhc.passes.manager import StartRecord, run_passes
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.training.step import LOSS, NUMBERS, StepOptions, build_step

BACKENDS = {
    "cpu": "cpu",
    "numba": "cpu",
    "opencl": "opencl",
    "cuda": "cuda",
    "fpga": "fpga",
}
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "numba": {"engine": "numba"},
    "cuda": {"device": "shim"},
}
NET = """
model Net() {
    input image: f32[N, 3, 8, 8]
    a = image -> conv(8, kernel=3, pad=1, bias=false) -> batchnorm() -> relu()
    b = a -> conv_transpose(6, kernel=2, stride=2) -> conv(6, kernel=3, stride=2, pad=1)
    output y = b -> global_avgpool() -> flatten() -> dense(5) -> softmax(axis=C)
}
"""
SGD = OPTIMIZERS["sgd"](momentum=0.9)
STEPS = 3


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        (1.0, 1.0),
        (1 + 2**-8, 1.0),  # in the middle: to the even one below
        (1 + 3 * 2**-8, 1 + 2**-6),  # in the middle: to the even one above
        (1 + 2**-8 + 2**-20, 1 + 2**-7),
        (-1 - 2**-8 - 2**-20, -1 - 2**-7),
        (3.4e38, np.inf),
        (2.0**-133, 2.0**-133),  # the smallest of all
        (2.0**-135, 0.0),
        (np.inf, np.inf),
        (np.nan, np.nan),
    ],
)
def test_rounding_is_half_to_even(value: float, nearest: float) -> None:
    found = RoundBf16().numpy(np.array([value], np.float32))
    np.testing.assert_array_equal(found, np.array([nearest], np.float32))


def test_rounding_is_what_casts_to_bf16_do() -> None:
    bits = np.random.Philox(key=3).random_raw(4096).astype(np.uint32)
    values = bits.view(np.float32)
    np.testing.assert_array_equal(
        RoundBf16().numpy(values), convert(values, DType.BF16).astype(np.float32)
    )


@cache
def _step() -> Graph:
    def squares(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        difference = Sub()(out["y"], data["t"])
        return Mul()(difference, difference)

    model = load_text(NET).model("Net").graph
    truth = model.outputs[0][1].type
    return build_step(model, {"t": truth}, squares, StepOptions(SGD)).graph


def _multiplies(node: Node) -> bool:
    return isinstance(node.op, Operator) and node.op.multiplies


def test_operands_of_products_are_rounded_and_nothing_else() -> None:
    graph = run_passes(_step(), passes_for("bf16"))
    products = [node for node in topological(graph.roots) if _multiplies(node)]
    assert len(products) >= 4 * 3 - 1  # forward, and for data and weights, but not for the image
    for node in products:
        assert all(isinstance(each.op, RoundBf16) for each in node.inputs[:2])
    others = [node for node in topological(graph.roots) if not _multiplies(node)]
    assert not [node for node in others if any(isinstance(s.op, RoundBf16) for s in node.inputs)]
    assert all(node.type.dtype is not DType.BF16 for node in topological(graph.roots))


def _inputs(number: int) -> dict[str, Array]:
    random = np.random.default_rng(number)
    numbers = {NUMBERS + n: np.asarray(v, np.float32) for n, v in SGD.numbers(number, 0.5).items()}
    image = random.normal(size=(4, 3, 8, 8)).astype(np.float32)
    return {"image": image, "t": np.eye(5, dtype=np.float32)[random.integers(0, 5, 4)], **numbers}


@cache
def _trained(backend: str, precision: str) -> tuple[list[float], dict[str, Array]]:
    name, options = BACKENDS.get(backend, backend), OPTIONS.get(backend, {})
    program = compile_graph(_step(), Target(name, precision=precision, options=options))
    losses = [float(program(**_inputs(k))[LOSS]) for k in range(1, STEPS + 1)]
    return losses, program.parameters()


def _error(backend: str, precision: str, against: str) -> float:
    """The largest error of a parameter after the steps, over the largest value of its kind."""
    found, expected = _trained(backend, precision)[1], _trained("reference", against)[1]
    return max(
        float(np.abs(found[path] - array).max() / max(np.abs(array).max(), 0.1))
        for path, array in expected.items()
    )


def test_splitting_errs_far_less_than_rounding() -> None:
    plain, split, rounded = (_error("reference", p, "f64") for p in ("f32", "f32x3", "bf16"))
    assert 1e-4 < rounded < 3e-2
    assert split < rounded / 100
    assert split < 10 * max(plain, 2e-6)


each_backend = pytest.mark.parametrize(
    "backend",
    [pytest.param(b, marks=pytest.mark.slow) if b == "numba" else b for b in BACKENDS],
)


@each_backend
def test_every_backend_splits_alike(backend: str) -> None:
    assert _error(backend, "f32x3", "f64") < 5e-5


@each_backend
def test_every_backend_rounds_alike(backend: str) -> None:
    """Sums in another order may fall to the other side of a rounding, which is rare."""
    assert _error(backend, "bf16", "bf16") < _error("reference", "bf16", "f64") / 2
    assert _error(backend, "bf16", "f64") > 1e-4


def test_numerics_are_still_checked_around_them() -> None:
    sizes = compile_graph(_step(), "reference", {"N": 2}).graph
    hook = CheckNumerics()
    hook(StartRecord(sizes, "cpu"))
    run_passes(sizes, passes_for("bf16"), [hook])
