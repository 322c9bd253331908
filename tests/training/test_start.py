"""How a run begins: drawn weights, weights of files, and weights of earlier stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from dhc.api import load
from dhc.backends.base import Target
from dhc.errors import DhcError
from dhc.ir.graph import Array
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord
from dhc.training.evaluate import evaluate
from dhc.training.folder import WEIGHTS
from dhc.training.run import Run
from dhc.training.session import reopen, target_of, train
from dhc.training.start import network_weights, renamed
from tests.training.conftest import STRIPES, write_stripes

OpenStripes = Callable[..., Run]  # see conftest.py
DENSE = "logits.dense.weight"


def _weights(run: Run) -> dict[str, Array]:
    return {path: array.copy() for path, array in run.job.weights().items()}


def _changed(one: dict[str, Array], other: dict[str, Array]) -> set[str]:
    return {path for path in one if not np.array_equal(one[path], other[path])}


# ---- initialisers ----------------------------------------------------------------------------


def test_initialisers_are_for_what_they_name(open_stripes: OpenStripes) -> None:
    plain = _weights(open_stripes("plain"))
    own = '[orthogonal(), fixed(0.25, "*.dense.bias"), he_uniform("*.dense.weight")]'
    found = _weights(open_stripes("own", initializers=own))
    assert _changed(plain, found) == {
        "logits.conv.weight", "logits.conv#2.weight", DENSE, "logits.dense.bias",
    }  # fmt: skip
    matrix = found["logits.conv#2.weight"].reshape(8, -1)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-6)
    assert np.all(found["logits.dense.bias"] == 0.25)


def test_a_scale_needs_fans(open_stripes: OpenStripes) -> None:
    with pytest.raises(DhcError, match="one axis only"):
        open_stripes(initializers='he_normal("*.bias")')


# ---- penalties and constraints ---------------------------------------------------------------


def test_constraints_hold_after_every_update(open_stripes: OpenStripes) -> None:
    run = open_stripes(
        constraint='[max_norm(0.5, "*.conv*.weight"), non_negative("*.dense.weight")]', epochs="2"
    )
    run.train()
    found = run.job.weights()
    norms = [np.linalg.norm(found[f"logits.{name}.weight"].reshape(8, -1), axis=1)
             for name in ("conv", "conv#2")]  # fmt: skip
    assert 0.49 < np.max(norms) < 0.5 + 1e-6
    assert found[DENSE].min() == 0 < found[DENSE].max()


def test_penalties_shrink_what_they_name(open_stripes: OpenStripes) -> None:
    plain, held = open_stripes("plain"), open_stripes("held", penalty="[l1(0.3), l2(0.3)]")
    plain.train()
    held.train()
    free, small = plain.job.weights(), held.job.weights()
    for path in ("logits.conv#2.weight", DENSE):
        assert np.abs(small[path]).sum() < 0.9 * np.abs(free[path]).sum()


# ---- files -----------------------------------------------------------------------------------


@pytest.fixture
def pretrained(open_stripes: OpenStripes, tmp_path: Path) -> dict[str, Array]:
    """Weights in `pretrained.safetensors`, of a network with other names and another head."""
    found = _weights(open_stripes("first", seed="77"))
    arrays = {path.replace("logits.", "encoder."): array for path, array in found.items()}
    arrays["encoder.dense.weight"] = np.zeros((7, 8), np.float32)
    arrays["encoder.extra"] = np.zeros(3, np.float32)
    save_file(arrays, tmp_path / "pretrained.safetensors")
    return found


def test_a_part_of_a_file_with_a_report(
    open_stripes: OpenStripes, pretrained: dict[str, Array]
) -> None:
    rename = '[["encoder.dense.weight", ""], ["encoder.", "logits."]]'
    run = open_stripes(init='"pretrained.safetensors"', rename=rename)
    assert DENSE in _changed(_weights(run), pretrained)
    assert not _changed(_weights(run), pretrained) - {DENSE}
    (note,) = run.job.notes
    assert note == (
        "8 of 9 parameters are from 'pretrained.safetensors'; drawn anew: "
        "logits.dense.weight; not used: logits.extra."
    )


PARTS = {
    "a shape that does not fit": (
        {"rename": '[["encoder.", "logits."]]'}, "has shape [2, 8], not [7, 8]",
    ),
    "no name that fits": ({}, "No weight of 'pretrained.safetensors' has the name"),
    "a beginning that no name has": ({"rename": '[["encoder.", "logits."], ["decoder.", ""]]'},
                                     "No weight begins with 'decoder.'"),
    "two names that become one": (
        {"rename": '[["encoder.conv.", "logits.conv."], ["encoder.conv#2.", "logits.conv."]]'},
        "Two weights would be named 'logits.conv.weight'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", PARTS)
@pytest.mark.usefixtures("pretrained")
def test_what_does_not_fit_is_an_error(open_stripes: OpenStripes, mistake: str) -> None:
    settings, message = PARTS[mistake]
    with pytest.raises(DhcError) as raised:
        open_stripes(init='"pretrained.safetensors"', **settings)
    assert message in str(raised.value)
    assert all(item.span is not None for item in raised.value.diagnostics)


@pytest.mark.usefixtures("pretrained")
def test_weights_must_be_all_and_no_others(open_stripes: OpenStripes) -> None:
    rename = '[["encoder.dense.weight", ""], ["encoder.", "logits."]]'
    with pytest.raises(DhcError) as raised:
        open_stripes(weights='"pretrained.safetensors"', rename=rename)
    text = str(raised.value)
    assert "'logits.dense.weight' has no value" in text
    assert "no parameter 'logits.extra'" in text


def test_every_name_can_get_a_beginning() -> None:
    found = renamed({"a.w": np.zeros(1), "b.w": np.ones(1)}, [("b.", ""), ("", "net.")])
    assert list(found) == ["net.a.w"]


def test_averages_stand_for_weights() -> None:
    arrays = {"w": np.zeros(2), "average/w": np.ones(2), "mean/w": np.zeros(2), "v": np.zeros(1)}
    found = network_weights(arrays)
    assert found.keys() == {"w", "v"}
    assert found["w"].all()


# ---- stages ----------------------------------------------------------------------------------


class Names:
    """An observer that keeps the names of the trains and what they say at the beginning."""

    def __init__(self) -> None:
        self.plans: list[RunPlan] = []

    def started(self, plan: RunPlan, done: int) -> None:
        self.plans.append(plan)

    def step(self, record: StepRecord) -> None: ...

    def epoch(self, record: EpochRecord) -> None: ...

    def saving(self) -> None: ...

    def stopped(self, reason: str) -> None: ...

    @property
    def names(self) -> list[str]:
        return [plan.name for plan in self.plans]


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A file with two stages: the second begins with the weights of the first, and freezes some."""
    write_stripes(tmp_path / "stripes.npz", (32, 16, 16))
    own = STRIPES.replace("epochs = 3", "epochs = 1")
    first = own[own.index("train stripes") :]
    second = first.replace("train stripes", "train fine").replace(
        "seed = 5", 'seed = 9 init = stripes.best freeze = ["logits.conv.*", "logits.batchnorm.*"]'
    )
    file = tmp_path / "stages.dhm"
    file.write_text(f"{own}\n{second}")
    return file


def test_a_stage_trains_the_one_before_it_once(staged: Path, tmp_path: Path) -> None:
    seen = Names()
    train(load(staged), "fine", tmp_path / "runs" / "fine", observers=[seen])
    assert seen.names == ["stripes", "fine"]
    assert seen.plans[1].notes == ("9 of 9 parameters are from 'stripes.best'.",)
    one, two = (_file(tmp_path / "runs" / name / WEIGHTS) for name in ("stripes", "fine"))
    frozen = {p for p in one if p.startswith(("logits.conv.", "logits.batchnorm."))}
    assert _changed(one, two) == one.keys() - frozen
    again = Names()
    train(load(staged), "fine", tmp_path / "runs" / "again", observers=[again])
    assert again.names == ["fine"]


def _file(path: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    return dict(load_file(path))


def test_the_run_of_a_stage_that_has_changed_is_not_taken(staged: Path, tmp_path: Path) -> None:
    train(load(staged), "stripes", tmp_path / "stripes")
    staged.write_text(staged.read_text().replace("conv(8, kernel=3, stride=2", "conv(8, kernel=5"))
    with pytest.raises(DhcError, match="was made by another program") as raised:
        train(load(staged), "fine", tmp_path / "fine")
    assert "or take its weights as they are" in str(raised.value)
    assert not (tmp_path / "fine").exists()


def test_a_folder_of_a_run_is_a_start(staged: Path, tmp_path: Path) -> None:
    train(load(staged), "stripes", tmp_path / "one")
    found = train(
        load(staged), "fine", tmp_path / "two", settings={"init": f'"{tmp_path / "one"}"'}
    )
    assert found.results["val"].samples == 16


def test_stages_do_not_go_round(staged: Path, tmp_path: Path) -> None:
    text = staged.read_text().replace("seed = 5", "seed = 5 init = fine.best", 1)
    staged.write_text(text)
    with pytest.raises(DhcError, match="own weights: fine <- stripes <- fine"):
        train(load(staged), "fine", tmp_path / "fine")


# ---- targets ---------------------------------------------------------------------------------

TARGET = "target wide { backend = reference precision = f64 }\n"


def test_a_block_says_its_target(staged: Path) -> None:
    staged.write_text(TARGET + staged.read_text().replace("seed = 5", "seed = 5 target = wide", 1))
    source = load(staged)
    assert target_of(source, "stripes") == Target("reference", precision="f64")
    assert target_of(source, "stripes", given="opencl").backend == "opencl"
    assert target_of(source, "stripes", {"target": '"cpu"'}).backend == "cpu"
    assert target_of(source, "fine").backend == "cpu"


def test_a_target_that_does_not_exist_has_a_place(staged: Path) -> None:
    staged.write_text(staged.read_text().replace("seed = 5", "seed = 5 target = wide", 1))
    with pytest.raises(DhcError, match="no backend 'wide'") as raised:
        target_of(load(staged), "stripes")
    assert raised.value.diagnostics[0].span is not None


def test_a_run_on_its_own_target_is_opened_again(staged: Path, tmp_path: Path) -> None:
    staged.write_text(TARGET + staged.read_text().replace("seed = 5", "seed = 5 target = wide", 1))
    done = train(load(staged), "stripes", tmp_path / "run")
    again = reopen(tmp_path / "run")
    assert evaluate(again.job, "val").loss == done.results["val"].loss
