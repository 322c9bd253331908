"""What must not change a result: passes, other outputs, the order of inputs, the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from dhc.backends.base import StagedBackend, Target
from dhc.driver import COMMON_PASSES, compile_graph
from dhc.errors import DhcError
from dhc.frontend import load as load_program
from dhc.ir.graph import Array, Graph, input_label
from dhc.numerics import draw_values
from dhc.onnx.read import load
from dhc.ops.base import run
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.manager import Pass, run_passes
from dhc.targets import make_backend
from tests.random_graphs.check import report
from tests.random_graphs.drawing import draw_graph
from tests.random_graphs.families import FAMILIES
from tests.random_graphs.programs import Program, built

MODELS = Path(__file__).resolve().parents[2] / "models"
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
NETWORKS: dict[str, tuple[str, tuple[int, ...], dict[str, object]]] = {
    "mlp": ("MLP", (2, 1, 28, 28), {}),
    "lung_nodules": ("NoduleNet", (2, 1, 16, 24), {}),
    "unet": ("UNet", (2, 1, 32, 32), {"width": 4}),
    "ct_perfusion": ("PerfusionNet", (2, 20, 8, 12), {}),
}


def _passes(target: str) -> tuple[Pass, ...]:
    backend = make_backend(Target(target))
    assert isinstance(backend, StagedBackend)
    return (*COMMON_PASSES, *backend.passes(), *backend.fusion())


def _optional(target: str) -> list[str]:
    return list(dict.fromkeys(one.name for one in _passes(target) if one.optional))


def _ways() -> list[tuple[str, tuple[str, ...]]]:
    """Each pass left out, and all of them."""
    pairs = [(target, name) for target in ("cpu", "opencl") for name in _optional(target)]
    alone = [(target, (name,)) for target, name in pairs]
    return [*alone, *((target, tuple(_optional(target))) for target in ("cpu", "opencl"))]


def _way(case: tuple[str, tuple[str, ...]]) -> str:
    return f"{case[0]}-{'all' if len(case[1]) > 1 else case[1][0]}"


# ---- passes ----------------------------------------------------------------------------------


def _alone(one: Pass) -> Program:
    """What numpy makes of a graph after one pass."""

    def program(graph: Graph, leaves: Mapping[str, Array]) -> Mapping[str, Array]:
        after = run_passes(graph, (one,))
        return dict(
            zip(dict(after.outputs), run(after.roots, leaves, after.constants), strict=True)
        )

    return program


@pytest.mark.parametrize("one", COMMON_PASSES[:-1], ids=lambda one: one.name)
def test_a_pass_alone_changes_nothing(one: Pass) -> None:
    programs = {one.name: _alone(one)}
    assert not [text for seed in range(60) for text in report(seed, programs)]


@pytest.mark.parametrize("way", _ways(), ids=_way)
def test_a_pass_can_be_left_out(way: tuple[str, tuple[str, ...]]) -> None:
    target, without = way
    graphs = range(3) if len(without) > 1 else range(1)
    assert not [text for seed in graphs for text in report(seed, {"left": built(target, without)})]


@pytest.mark.slow
@pytest.mark.parametrize("way", _ways(), ids=_way)
def test_a_pass_can_be_left_out_of_many(way: tuple[str, tuple[str, ...]]) -> None:
    programs = {"left": built(*way)}
    assert not [text for seed in range(40) for text in report(seed, programs)]


@pytest.mark.parametrize("name", ["legalise", "canonicalise"])
def test_other_passes_cannot_be_left_out(name: str) -> None:
    with pytest.raises(DhcError, match=f"has no pass '{name}' that can be left out"):
        compile_graph(draw_graph(0, FAMILIES)[0], Target("cpu", without=(name,)))


# ---- outputs and inputs ----------------------------------------------------------------------


def _with_one_output(graph: Graph, leaves: Mapping[str, Array]) -> Mapping[str, Array]:
    """Each output from a program of its own."""
    program = built("cpu")
    alone = [replace(graph, outputs=(output,)) for output in graph.outputs]
    return {name: array for each in alone for name, array in (program(each, leaves) or {}).items()}


def _with_inputs_reversed(graph: Graph, leaves: Mapping[str, Array]) -> Mapping[str, Array] | None:
    return built("cpu")(replace(graph, inputs=graph.inputs[::-1]), leaves)


def test_other_outputs_and_the_order_of_inputs_do_not_matter() -> None:
    programs: dict[str, Program] = {"alone": _with_one_output, "reversed": _with_inputs_reversed}
    assert not [text for seed in range(6) for text in report(seed, programs)]


# ---- networks --------------------------------------------------------------------------------


@cache
def _network(file: str) -> tuple[Graph, Mapping[str, Array]]:
    """A network of models/ for two images, and values of its inputs and weights."""
    name, given, settings = NETWORKS[file]
    graph = load_program(MODELS / f"{file}.dhm").model(name, **settings).graph
    pairs = zip(graph.inputs[0].type.shape, given, strict=True)
    sizes = {str(size): wanted for size, wanted in pairs if not isinstance(size, int)}
    return graph, draw_values(bind_sizes(graph, dict(sizes)))


def _computed(graph: Graph, target: Target, values: Mapping[str, Array]) -> Mapping[str, Array]:
    weights = {param.path: values[param.path] for param in graph.params}
    inputs = {label: values[label] for label in map(input_label, graph.inputs)}
    return compile_graph(graph, target, parameters=weights)(**inputs)


def _agree(found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=2e-5 * scale)


@pytest.mark.parametrize("without", [*_optional("cpu"), "all"])
@pytest.mark.parametrize("file", ["mlp", "lung_nodules", "unet"])
def test_networks_without_a_pass(file: str, without: str) -> None:
    graph, values = _network(file)
    names = tuple(_optional("cpu")) if without == "all" else (without,)
    expected = _computed(graph, Target("cpu"), values)
    _agree(_computed(graph, Target("cpu", without=names), values), expected)


@pytest.mark.parametrize(
    ("file", "target"),
    [*((file, "cpu") for file in NETWORKS), ("mlp", "opencl"), ("lung_nodules", "opencl")],
)
def test_two_images_are_twice_one(file: str, target: str) -> None:
    """The graph with named sizes, once for both, and once for each of them."""
    graph, values = _network(file)
    labels = [input_label(node) for node in graph.inputs]
    both = _computed(graph, Target(target), values)
    for place in range(2):
        part = {name: values[name][place : place + 1] for name in labels}
        part_of_both = {name: array[place : place + 1] for name, array in both.items()}
        _agree(_computed(graph, Target(target), {**values, **part}), part_of_both)


# ---- models of ONNX --------------------------------------------------------------------------


def _exported() -> list[Path]:
    return sorted((DATA / "pytorch-converted").rglob("model.onnx"))


@pytest.mark.parametrize("file", _exported(), ids=lambda file: file.parent.name)
def test_a_batch_with_a_name_is_read_as_one_with_a_number(tmp_path: Path, file: Path) -> None:
    static = load(file)
    model = onnx.load(file)
    ports = [each for each in model.graph.input if each.name in static.inputs]
    if not ports or not all(each.type.tensor_type.shape.dim for each in ports):
        pytest.skip("it has no input with axes")
    for port in ports:
        port.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.save(model, tmp_path / "model.onnx")
    try:
        named = load(tmp_path / "model.onnx")
    except DhcError as error:
        pytest.skip(str(error))
    values = {**draw_values(static.graph), **static.values}
    size = next(node for node in static.graph.inputs).type.shape[0]
    assert isinstance(size, int)
    bound = bind_sizes(named.graph, {"batch": size})
    expected = run(static.graph.roots, values, static.graph.constants)
    found = run(bound.roots, {**values, **named.values}, bound.constants)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("file", _exported()[::6], ids=lambda file: file.parent.name)
def test_models_without_any_pass(file: Path) -> None:
    read = load(file)
    values = {**draw_values(read.graph), **read.values}
    without = Target("cpu", without=tuple(_optional("cpu")))
    _agree(_computed(read.graph, without, values), _computed(read.graph, Target("cpu"), values))
