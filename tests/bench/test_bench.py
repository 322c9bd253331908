"""The benchmarks' own functions, on tiny cases and without other software; nothing is timed."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import dhc

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder bench/ is no installed package."""
    monkeypatch.syspath_prepend(str(ROOT))


def script(name: str) -> ModuleType:
    return import_module(f"bench.{name}")


# ---- timing ----------------------------------------------------------------------------------


class Machine:
    """Contenders that take a known time on a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def clock(self) -> float:
        return self.now

    def contender(self, name: str, seconds: float) -> object:
        def call() -> None:
            self.now += seconds
            self.log.append(name)

        return call


def test_contenders_take_turns_and_another_one_begins_each_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timing, machine = script("timing"), Machine()
    monkeypatch.setattr(timing, "REST", 0)
    calls = {name: machine.contender(name, seconds) for name, seconds in (("a", 1), ("b", 2))}
    found = timing.interleave(calls, timing.Plan(rounds=2, turn=2), machine.clock)
    first, counts, second = machine.log[:4], machine.log[4:9], machine.log[9:]
    assert first == ["a", "a", "b", "b"]  # how long a call takes
    assert counts == ["a", "a", "a", "b", "b"]  # one call that is not counted, then two seconds
    assert second == ["b", "b", "a", "a", "a"]
    assert found["a"] == timing.Times((1000.0, 1000.0), 1000.0)
    assert found["b"].median == 2000.0


def test_no_round_begins_after_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    timing, machine = script("timing"), Machine()
    monkeypatch.setattr(timing, "REST", 0)
    calls = {"a": machine.contender("a", 1)}
    found = timing.interleave(calls, timing.Plan(rounds=9, seconds=0), machine.clock)
    assert len(found["a"].rounds) == 2


def test_mean_of_ratios() -> None:
    assert script("timing").geometric_mean([0.5, 2.0, 1.0]) == pytest.approx(1.0)


# ---- weights ---------------------------------------------------------------------------------


def test_weights_are_matched_by_order() -> None:
    given = [("0.w", np.ones((4, 3, 1, 1))), ("0.b", np.arange(4.0))]
    found = script("weights").match([("conv.weight", (4, 3, 1, 1)), ("conv.bias", (4,))], given)
    assert list(found) == ["conv.weight", "conv.bias"]
    assert found["conv.bias"][3] == 3


def test_a_dense_layer_may_stand_for_a_convolution() -> None:
    found = script("weights").match([("w", (2, 3, 1, 2))], [("fc", np.arange(12.0).reshape(2, 6))])
    assert found["w"][1, 2, 0, 1] == 11


@pytest.mark.parametrize(
    ("shape", "given"), [((3,), (4,)), ((2, 3), (3, 2)), ((2, 6), (3, 4)), ((6,), (2, 3))]
)
def test_other_shapes_are_refused(shape: tuple[int, ...], given: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"'mine' is .* but 'theirs' is"):
        script("weights").match([("mine", shape)], [("theirs", np.zeros(given))])


def test_numbers_of_weights_must_agree() -> None:
    with pytest.raises(ValueError, match="2 weights, not 0"):
        script("weights").match([("a", (1,)), ("b", (1,))], [])


# ---- networks --------------------------------------------------------------------------------


def test_cases_exist_and_their_shapes_fix_every_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cases = script("cases")
    monkeypatch.setattr(cases, "modules_exist", lambda: False)
    for case in cases.CASES:
        network = cases.build(case, np.zeros((1, *case.shape), np.float32), tmp_path)
        assert network.shapes.keys() == network.model.sizes
        assert network.module is None


def test_without_other_software_dhc_is_measured_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases, networks, timing = script("cases"), script("networks"), script("timing")
    monkeypatch.setattr(cases, "modules_exist", lambda: False)
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))
    peer = script("peers").Peer("other", ("surely_not_installed",), None)
    case = cases.Case("Tissue", "ct_tissue.dhm", (1, 8, 8), None)
    plan = timing.Plan(rounds=1, seconds=0, turn=0)
    result = networks.measure(case, [peer], 1, plan)
    assert [row.contender for row in result.rows] == ["dhc"]
    assert result.absent == {"other": "needs surely_not_installed"}
    assert result.best is None
    networks.print_result(result)
    assert "needs surely_not_installed" in capsys.readouterr().out
    assert networks.as_content([result])["geometric_mean"] is None


def test_the_quickest_peer_counts(capsys: pytest.CaptureFixture[str]) -> None:
    networks = script("networks")
    times = (("dhc", 2.0), ("slow", 9.0), ("quick", 3.0))
    rows = tuple(networks.Row(name, ms, ms, (ms,), 1e-7) for name, ms in times)
    result = networks.Result("Net", 1_000_000, rows, {})
    assert result.best.contender == "quick"
    assert result.ratio == 1.5
    networks.print_summary([result])
    assert "geometric mean 1.500, smallest 1.500" in capsys.readouterr().out


def test_the_command_line_knows_its_networks(capsys: pytest.CaptureFixture[str]) -> None:
    parse = script("networks").parse
    assert parse(["--networks", "UNet,VGG19", "--peers", ""]).networks == ["UNet", "VGG19"]
    with pytest.raises(SystemExit):
        parse(["--networks", "UNet4D"])
    assert "no UNet4D" in capsys.readouterr().err


def test_errors_are_relative_and_need_one_shape() -> None:
    error = script("peers").relative_error
    assert error(np.array([1.0, 4.5]), np.array([1.0, -5.0])) == 1.9
    assert error(np.zeros(2), np.zeros(2)) == 0
    with pytest.raises(ValueError, match=r"\[2\], not \[1, 2\]"):
        error(np.zeros(2), np.zeros((1, 2)))


# ---- training --------------------------------------------------------------------------------


@pytest.fixture
def _no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(script("steps"), "modules_exist", lambda: False)
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))


@pytest.mark.usefixtures("_no_torch")
def test_steps_take_a_batch_and_leave_dropout_out() -> None:
    steps = script("steps")
    for case in steps.CASES:
        lesson = steps.build(case)
        assert lesson.graph.inputs[0].type.shape == case.shape
        labels = {node.op.label for node in lesson.step.graph.inputs}
        assert labels == {"image", "truth", "optimizer.pace", "optimizer.inverse_root"}


@pytest.mark.usefixtures("_no_torch")
def test_a_step_is_measured_and_leaves_gradients() -> None:
    steps, training, timing = script("steps"), script("training"), script("timing")
    case = steps.StepCase("UNet", "unet.dhm", (1, 1, 16, 16), None, {"width": 2})
    result = training.measure(case, training.PEERS, 1, timing.Plan(rounds=1, seconds=0, turn=0))
    assert [row.contender for row in result.rows] == ["dhc"]
    assert result.absent["inductor"] == "needs torch, torchvision"
    trainee = steps.Trainee(steps.build(case), 1)
    trainee()
    known = trainee.program.parameters()
    assert np.abs(known["mean/head.bias"]).max() > 0
    shapes = [param.type.static_shape for param in trainee._lesson.graph.params]
    assert trainee.learned().shape == (sum(int(np.prod(shape)) for shape in shapes),)


def test_distances_tell_how_many_differ() -> None:
    distance = script("peers").relative_distance
    assert distance(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.5 / 29.25**0.5)
    assert distance(np.zeros(2), np.zeros(2)) == 0


# ---- the machine -----------------------------------------------------------------------------


def test_the_process_starts_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = script("machine")
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda file, arguments, env: started.append(env))
    for name in machine.MALLOC:
        monkeypatch.delenv(name, raising=False)
    machine.keep_memory()
    assert machine.MALLOC.items() <= started[0].items()
    for name, value in machine.MALLOC.items():
        monkeypatch.setenv(name, value)
    machine.keep_memory()
    assert len(started) == 1


def test_the_description_names_versions(capsys: pytest.CaptureFixture[str]) -> None:
    machine = script("machine")
    assert machine.versions(["numpy", "surely-not-installed"]) == {"numpy": np.__version__}
    machine.print_description(machine.describe(3))
    assert f"numpy {np.__version__}" in capsys.readouterr().out


# ---- the pipeline ----------------------------------------------------------------------------


def test_both_layouts_of_a_picture_give_the_exact_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))
    pipeline = script("pipeline")
    picture = pipeline.picture(24, 20)
    found = pipeline.differences(pipeline.dhc_ways(picture), pipeline.exact(picture))
    assert found.keys() == {pipeline.PLANAR, pipeline.INTERLEAVED}
    assert max(found.values()) < 1e-5


def test_the_composed_map_is_that_of_the_pipeline() -> None:
    """A ramp keeps its slope when it is interpolated, so pixels tell where they come from."""
    pipeline, opencv = script("pipeline"), script("opencv")
    y, x = np.mgrid[:60, :100]
    ramp = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    result = pipeline.exact(ramp)[:2] * opencv.STD[:2, None, None] + opencv.MEAN[:2, None, None]
    inner = slice(60, 160)
    rows, columns = np.mgrid[inner, inner]
    expected = np.einsum(
        "ik,khw->ihw", opencv.composed(60, 100), np.stack([columns, rows, np.ones_like(rows)])
    )
    np.testing.assert_allclose(result[:, inner, inner] * 255, expected, atol=1e-3)


def test_only_opencv_counts_as_another() -> None:
    pipeline, timing = script("pipeline"), script("timing")
    times = {pipeline.PLANAR: 2.0, pipeline.INTERLEAVED: 4.0, "opencv, a": 8.0, "opencv, b": 6.0}
    found = pipeline.ratios({name: timing.Times((ms,), ms) for name, ms in times.items()})
    assert found == {pipeline.PLANAR: 3.0, pipeline.INTERLEAVED: 1.5}


# ---- compilation -----------------------------------------------------------------------------


def test_what_fresh_processes_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "cache"))
    fresh, artifact = script("fresh"), str(tmp_path / "model.dhx")
    cold = fresh.cold(artifact, str(ROOT / "models" / "ct_tissue.dhm"), "Tissue", "16", "1")
    warm = fresh.warm(artifact)
    assert {"load_s", "compile_s", "numba_imported"} <= cold.keys()
    assert warm["weights_and_arena_bytes"] > 0
    assert warm["numba_imported"] == float("numba" in sys.modules)


def test_medians_of_repeated_findings() -> None:
    found = script("compile_time").medians([{"a": 1.0}, {"a": 5.0}, {"a": 2.0}])
    assert found == {"a": 2.0}


def test_the_size_of_a_program_is_known_for_the_llvm_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DHC_CACHE", str(tmp_path))
    model = dhc.load(ROOT / "models" / "ct_tissue.dhm").model("Tissue")
    shapes = {"N": 1, "H": 8, "W": 8}
    assert script("fresh").program_bytes(dhc.compile(model, "reference", shapes)) == 0
