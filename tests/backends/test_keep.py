"""Training keeps weights and moments packed; outside nobody sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend
from dhc.backends.cpu.executable import CpuExecutable
from dhc.backends.cpu.features import AVX2, AVX512, Isa
from dhc.backends.cpu.keep import KeepPacked
from dhc.backends.cpu.kernels.repack import RepackKernel
from dhc.backends.cpu.packing import PackWeights
from dhc.driver import COMMON_PASSES, compile_graph, input_types
from dhc.frontend import load_text
from dhc.ir.graph import Array, Graph, Node, topological
from dhc.lower.plan import Plan
from dhc.numerics import difference, draw_values, evaluate
from dhc.ops.elementwise import Mul, Sub
from dhc.passes.bind_sizes import bind_sizes
from dhc.passes.legalise import Legalise
from dhc.passes.manager import run_passes
from dhc.recipe.clip import ClipNorm
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.training.step import StepOptions, build_step

TEXT = """
model Net() {
    input image: f32[N, 3, H, W]
    output y = image -> conv(20, kernel=3, pad=1) -> relu() -> conv_transpose(9, kernel=2, stride=2)
        -> conv(33, kernel=3, stride=2) -> global_avgpool() -> flatten() -> dense(5)
}
"""
WEIGHTS = ("y.conv.weight", "y.conv_transpose.weight", "y.conv#2.weight", "y.dense.weight")


WIDE = """
model Net() {
    input image: f32[N, 16, H, W]
    output y = image -> conv(32, kernel=3, pad=1) -> conv(48, kernel=[2, 3], pad=same)
        -> conv(32, kernel=3, stride=2, pad=1) -> conv(16, kernel=1, stride=2)
        -> conv_transpose(32, kernel=2, stride=2) -> global_avgpool() -> flatten()
        -> dense(48) -> dense(5)
}
"""


SIZES = {"N": 2, "H": 8, "W": 8}


def _step(
    optimizer: str = "adam",
    clip: bool = False,
    text: str = TEXT,
    sizes: Mapping[str, int] = SIZES,
) -> Graph:
    model = load_text(text).model("Net").graph

    def squares(out: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        distance = Sub()(out["y"], data["t"])
        return Mul()(distance, distance)

    adjust = (ClipNorm(1.0),) if clip else ()
    options = StepOptions(OPTIMIZERS[optimizer](), adjust=adjust)
    step = build_step(model, {"t": model.outputs[0][1].type}, squares, options)
    return run_passes(bind_sizes(step.graph, sizes), COMMON_PASSES)


def _plan(graph: Graph) -> Plan:
    return CpuBackend(Target("cpu", options={"isa": "avx2"})).lower(graph).plan


@pytest.mark.parametrize("isa", [AVX2, AVX512], ids=lambda isa: isa.name)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lamb"])
def test_a_step_means_the_same(optimizer: str, isa: Isa) -> None:
    """Lamb reads the norms of whole weights, so that not everything goes element by element."""
    before = PackWeights(isa)(Legalise()(_step(optimizer, clip=True)))
    after = KeepPacked()(before)
    values = draw_values(before)
    assert after is not before
    assert not difference(before, after, evaluate(before, values), evaluate(after, values))


def test_what_no_convolution_reads_stays_as_it_is() -> None:
    graph = KeepPacked()(PackWeights(AVX2)(Legalise()(_step())))
    kept = {n.inputs[0].op.path for n in topological(graph.roots) if n.op.name == "cpu_keep"}  # type: ignore[attr-defined]
    assert kept == {f"{m}{path}" for path in WEIGHTS for m in ("", "mean/", "square/")}


def test_nothing_is_packed_or_unpacked_by_itself_in_a_step() -> None:
    """All that is left: the transposed weights, and the gradient of the dense layer."""
    names = [step.kernel.name.split("_", 1)[1] for step in _plan(_step()).steps]
    alone = [name for name in names if name in ("cpu_pack", "cpu_unpack", "cpu_keep", "cpu_kept")]
    assert alone == ["cpu_pack"]


def test_weights_of_a_fixed_network_are_prepared_as_before() -> None:
    model = bind_sizes(load_text(TEXT).model("Net").graph, {"N": 2, "H": 8, "W": 6})
    assert all(slot.logical is None for slot in _plan(model).slots)


def test_callers_see_logical_weights() -> None:
    """Before the first step, after it, and after they were replaced."""
    graph = _step()
    programs = [
        compile_graph(graph, Target(name), parameters=None) for name in ("cpu", "reference")
    ]
    inputs = {
        label: np.random.default_rng(1).standard_normal(type.static_shape).astype(np.float32)
        for label, type in programs[0].inputs.items()
    }
    for program in programs:
        start = program.parameters()
        program(**{n: np.abs(v) * 0.01 if v.ndim == 0 else v for n, v in inputs.items()})
        moved = program.parameters()
        assert any(np.any(start[path] != moved[path]) for path in WEIGHTS)
        program.load_parameters(start)
        again = program.parameters()
        assert all(np.array_equal(start[path], again[path]) for path in start)
        program.load_parameters(moved)
    ours, exact = (program.parameters() for program in programs)
    for path in WEIGHTS:
        np.testing.assert_allclose(ours[f"mean/{path}"], exact[f"mean/{path}"], atol=1e-6)


@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
def test_weights_are_packed_anew_for_gradients_in_tiles(isa: str) -> None:
    """All but those of the last layer, whose five units fill no vector."""
    graph = _step(text=WIDE)
    target = Target("cpu", threads=2, options={"isa": isa} if isa else {})
    steps = CpuBackend(target).lower(graph).plan.steps
    assert sum(isinstance(step.kernel, RepackKernel) for step in steps) == 5
    values = draw_values(graph)
    inputs = {label: values[label] for label in input_types(graph)}
    params = {param.path: values[param.path] for param in graph.params}
    program = compile_graph(graph, target, parameters=params)
    program(**inputs)
    found = program.parameters()
    expected = dict(
        zip(
            (name for name, _ in (*graph.outputs, *graph.updates)),
            evaluate(graph, values),
            strict=True,
        )
    )
    for path in (path for path in found if path.startswith("mean/")):
        scale = np.abs(expected[path]).max()
        np.testing.assert_allclose(found[path], expected[path], atol=1e-5 * scale, err_msg=path)


def test_batches_of_other_sizes_go_on_with_the_same_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They lie alike whatever the number of samples, so nothing is copied from one to the other."""
    graph = _step(sizes={"H": 8, "W": 8})
    start = draw_values(bind_sizes(graph, {"N": 2}))
    params = {param.path: start[param.path] for param in graph.params}
    copied: list[Sequence[str]] = []
    read = CpuExecutable.read

    def noted(self: CpuExecutable, labels: Sequence[str]) -> dict[str, Array]:
        copied.append(labels)
        return read(self, labels)

    monkeypatch.setattr(CpuExecutable, "read", noted)
    ours, exact = (compile_graph(graph, name, parameters=params) for name in ("cpu", "reference"))
    for samples in (2, 3, 2, 3):
        values = draw_values(bind_sizes(graph, {"N": samples}))
        inputs = {label: values[label] for label in ours.inputs}
        found, expected = ours(**inputs), exact(**inputs)
        np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    assert not copied
    after, wanted = ours.parameters(), exact.parameters()
    for path in WEIGHTS:
        scale = np.abs(wanted[path]).max()
        np.testing.assert_allclose(after[path], wanted[path], atol=1e-5 * scale, err_msg=path)
