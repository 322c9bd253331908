"""ONNX's own conformance tests: what dhc reads is right, and what it cannot read it refuses.

`python -m bench.onnx_conformance` writes down what is refused, and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import numpy_helper

from dhc.errors import DhcError
from dhc.onnx.backend import run_model

DATA = Path(onnx.backend.test.__file__).parent / "data"
TOLERANCES = {"float16": (1e-3, 1e-3), "bfloat16": (2.0**-6, 1e-6)}  # those of ONNX's own runner
LIGHT = sorted((DATA / "light").glob("*.onnx"))
STORED = ("simple", "pytorch-operator", "pytorch-converted")
CHUNKS = 16  # of the cases of nodes, for processes that share them


@dataclass(frozen=True)
class Case:
    """A model, and what it should give for some inputs."""

    name: str
    model: onnx.ModelProto
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def cases_of_nodes(found: Sequence[Any]) -> Iterator[Case]:
    """The cases that ONNX's package makes."""
    for case in found:
        for inputs, outputs in case.data_sets:
            yield Case(case.name, case.model, inputs, outputs)


def stored_cases(*kinds: str) -> Iterator[Case]:
    """Those that lie in files beside it, of these kinds."""
    for kind in kinds or STORED:
        for folder in sorted((DATA / kind).iterdir()):
            model = onnx.load(folder / "model.onnx")
            for data in sorted(folder.glob("test_data_set_*")):
                yield Case(folder.name, model, _tensors(data, "input"), _tensors(data, "output"))


def light_case(file: Path) -> Case:
    """A classifier whose weights follow a rule, and so does its image."""
    model = onnx.load(file)
    (port,) = (each for each in model.graph.input if each.name not in _initial(model))
    shape = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / np.float32(np.prod(shape))
    result = onnx.load_tensor(file.with_name(f"{file.stem}_output_0.pb"))
    return Case(file.stem, model, [image], [result])


def _initial(model: onnx.ModelProto) -> set[str]:
    return {each.name for each in model.graph.initializer}


def _tensors(folder: Path, stem: str) -> list[onnx.TensorProto]:
    files = sorted(folder.glob(f"{stem}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    return [onnx.load_tensor(file) for file in files]


def _array(value: Any) -> Any:
    """Test cases hold arrays, tensors, and single values."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 0:
        value = value if isinstance(value.item(), str) else value.item()
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _values(value: Any) -> list[Any]:
    """The tensors of a result, which may be a sequence, or an optional without one."""
    if isinstance(value, list):
        return [each for part in value for each in _values(part)]
    return [] if value is None else [value]


def check(case: Case, target: str = "reference") -> None:
    """Compares results.

    Args:
        case: What to run.
        target: Where.

    Raises:
        DhcError: if dhc refuses the model.
        AssertionError: if results are wrong.
    """
    results = run_model(case.model, list(map(_array, case.inputs)), target)
    for result, wanted in zip(results, map(_array, case.outputs), strict=True):
        assert isinstance(result, list) == isinstance(wanted, list)
        for found, expected in zip(_values(result), map(np.asarray, _values(wanted)), strict=True):
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            if found.dtype == object:  # text
                np.testing.assert_array_equal(found, expected)
                continue
            rtol, atol = TOLERANCES.get(found.dtype.name, (1e-3, 1e-6))
            if found.dtype.kind == "V":  # numpy compares what it knows
                found, expected = (each.astype(np.float32) for each in (found, expected))
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def _count(cases: Iterator[Case]) -> int:
    """How many cases are right, when none of the others is wrong."""
    right = 0
    wrong: list[str] = []
    for case in cases:
        try:
            check(case)
            right += 1
        except DhcError:
            continue
        except Exception as error:  # whatever it is, it should have been refused
            wrong.append(f"{case.name}: {type(error).__name__} {error}")
    assert not wrong, "\n".join(wrong)
    return right


@pytest.mark.slow
def test_nodes_are_right_or_refused(node_cases: Sequence[Any]) -> None:
    assert _count(cases_of_nodes(node_cases)) >= 1840


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "chunk"),
    [*product(["cpu"], range(CHUNKS)), *product(["opencl"], range(0, CHUNKS, 2))],
)
def test_nodes_are_right_on_targets(target: str, chunk: int, node_cases: Sequence[Any]) -> None:
    """Neighbours are often the same program, so chunks are what lies together.

    OpenCL takes six times as long to compile as the processor; `bench.onnx_conformance` runs all.
    """
    cases = list(cases_of_nodes(node_cases))
    start, end = (len(cases) * part // CHUNKS for part in (chunk, chunk + 1))
    _check_target(cases[start:end], target)


@pytest.mark.parametrize("target", ["cpu", pytest.param("opencl", marks=pytest.mark.slow)])
def test_converted_models_are_right_on_targets(target: str) -> None:
    _check_target(stored_cases(), target)


def _check_target(cases: Iterable[Case], target: str) -> None:
    """What is right on the reference backend is right, unless the device has no such numbers."""
    wrong: list[str] = []
    for case in cases:
        try:
            check(case)
        except DhcError:
            continue
        try:
            check(case, target)
        except DhcError as error:
            if target == "cpu" or error.diagnostics[0].code != "unsupported-type":
                wrong.append(f"{case.name}: {error}")
        except Exception as error:
            wrong.append(f"{case.name}: {type(error).__name__} {error}")
    assert not wrong, "\n".join(wrong)


def test_converted_models_are_right_or_refused() -> None:
    assert _count(stored_cases()) >= 140


@pytest.mark.slow
@pytest.mark.parametrize("file", LIGHT, ids=lambda file: file.stem)
def test_classifiers_run(file: Path) -> None:
    check(light_case(file), "cpu")
