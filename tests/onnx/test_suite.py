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
from dhc.ir.graph import Array
from dhc.onnx import Imported, load
from dhc.ops.base import run
from dhc.passes.bind_sizes import bind_sizes

DATA = Path(onnx.backend.test.__file__).parent / "data"
LIGHT = sorted((DATA / "light").glob("*.onnx"))
SETTINGS = ("scales", "roi", "value")  # floats that say what a node does


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


def _is_setting(name: str, value: Any) -> bool:
    """Whether an input is a shape, axes or the like, which dhc must know when it reads a model."""
    if not isinstance(value, np.ndarray) or value.ndim > 1:
        return False
    whole = value.dtype == np.int64 and name not in ("x", "data", "X", "indices", "input", "a", "b")
    return whole or (value.dtype == np.float32 and name in SETTINGS)


def _check(case: Case, folder: Path) -> None:
    """Compares results.

    Raises:
        DhcError: if dhc refuses the model.
        AssertionError: if results are wrong.
    """
    file = folder / "model.onnx"
    file.write_bytes(case.model.SerializeToString())
    names = [each.name for each in case.model.graph.input]
    values = dict(zip(names, map(_array, case.inputs), strict=False))
    settings = {name: value for name, value in values.items() if _is_setting(name, value)}
    imported = load(file, settings)
    given = [value for name, value in values.items() if name not in settings]
    for found, wanted in zip(_run(imported, given), map(_array, case.outputs), strict=True):
        expected = np.asarray(wanted)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        loose = 1e-3 if found.dtype == np.float16 else 1e-6
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=loose)


def _run(imported: Imported, given: Sequence[Array]) -> list[Array]:
    graph = imported.graph
    bound: dict[str, int] = {}
    for node, array in zip(graph.inputs, given, strict=True):
        sizes = zip(node.type.shape, array.shape, strict=True)
        bound |= {str(size): count for size, count in sizes if not isinstance(size, int)}
    graph = bind_sizes(graph, bound) if bound else graph
    values = dict(zip((node.op.label for node in graph.inputs), given, strict=True))  # type: ignore[attr-defined]
    return run([node for _, node in graph.outputs], values | dict(imported.values), graph.constants)


def _count(cases: Iterator[Case], folder: Path) -> int:
    """How many cases are right, when none of the others is wrong."""
    right = 0
    wrong: list[str] = []
    for case in cases:
        try:
            _check(case, folder)
            right += 1
        except DhcError:
            continue
        except Exception as error:  # whatever it is, it should have been refused
            wrong.append(f"{case.name}: {type(error).__name__} {error}")
    assert not wrong, "\n".join(wrong)
    return right


@pytest.mark.slow
def test_nodes_are_right_or_refused(tmp_path: Path, node_cases: Sequence[Any]) -> None:
    assert _count(_cases_of_nodes(node_cases), tmp_path) >= 1150


def test_converted_models_are_right_or_refused(tmp_path: Path) -> None:
    assert _count(_stored_cases(), tmp_path) >= 122


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
