"""ONNX's own conformance tests: what dhc reads is right, and what it cannot read it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import numpy_helper

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.onnx.backend import run_model
from dhc.onnx.read import load

DATA = Path(onnx.backend.test.__file__).parent / "data"
LIGHT = sorted((DATA / "light").glob("*.onnx"))


@dataclass(frozen=True)
class Case:
    """A model, and what it should give for some inputs."""

    name: str
    model: onnx.ModelProto
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def _cases_of_nodes(found: Sequence[Any]) -> Iterator[Case]:
    for case in found:
        for inputs, outputs in case.data_sets:
            yield Case(case.name, case.model, inputs, outputs)


def _stored_cases() -> Iterator[Case]:
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for folder in sorted((DATA / kind).iterdir()):
            model = onnx.load(folder / "model.onnx")
            for data in sorted(folder.glob("test_data_set_*")):
                yield Case(folder.name, model, _tensors(data, "input"), _tensors(data, "output"))


def _tensors(folder: Path, stem: str) -> list[onnx.TensorProto]:
    files = sorted(folder.glob(f"{stem}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
    return [onnx.load_tensor(file) for file in files]


def _array(value: Any) -> Any:
    """Test cases hold arrays, tensors, and single values."""
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 0:
        value = value.item()
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _values(value: Any) -> list[Any]:
    """The tensors of a result, which may be a sequence, or an optional without one."""
    if isinstance(value, list):
        return [each for part in value for each in _values(part)]
    return [] if value is None else [value]


def _check(case: Case) -> None:
    """Compares results.

    Raises:
        DhcError: if dhc refuses the model.
        AssertionError: if results are wrong.
    """
    results = run_model(case.model, list(map(_array, case.inputs)), "reference")
    for result, wanted in zip(results, map(_array, case.outputs), strict=True):
        assert isinstance(result, list) == isinstance(wanted, list)
        for found, expected in zip(_values(result), map(np.asarray, _values(wanted)), strict=True):
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            loose = 1e-3 if found.dtype == np.float16 else 1e-6
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=loose)


def _count(cases: Iterator[Case]) -> int:
    """How many cases are right, when none of the others is wrong."""
    right = 0
    wrong: list[str] = []
    for case in cases:
        try:
            _check(case)
            right += 1
        except DhcError:
            continue
        except Exception as error:  # whatever it is, it should have been refused
            wrong.append(f"{case.name}: {type(error).__name__} {error}")
    assert not wrong, "\n".join(wrong)
    return right


@pytest.mark.slow
def test_nodes_are_right_or_refused(node_cases: Sequence[Any]) -> None:
    assert _count(_cases_of_nodes(node_cases)) >= 1590


def test_converted_models_are_right_or_refused() -> None:
    assert _count(_stored_cases()) >= 130


@pytest.mark.slow
@pytest.mark.parametrize("file", LIGHT, ids=lambda file: file.stem)
def test_classifiers_run(file: Path) -> None:
    """Their weights follow a rule, and so does the image; what they give lies beside them."""
    imported = load(file)
    shape = imported.graph.inputs[0].type.static_shape
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / np.float32(np.prod(shape))
    program = compile_graph(imported.graph, Target("cpu"), parameters=imported.values)
    label = imported.graph.inputs[0].op.label  # type: ignore[attr-defined]
    (found,) = program(**{label: image}).values()
    expected = _array(onnx.load_tensor(file.with_name(f"{file.stem}_output_0.pb")))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
