"""A study trains candidates on the same folds, chooses by validation, and tests the choice once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.runtime.kpi.development import declare, development
from dhc.studies.settings import StudySettings, study_settings
from dhc.training.session import reopen

TEXT = """
pipeline plain(image: image[1]) {{ to_float() normalize(mean=0.5, std=0.3) }}
model Small(width=2) {{
    input image: f32[N, 1, H, W]
    output p = image -> conv(width, kernel=3, pad=1) -> relu() -> global_avgpool() -> flatten()
        -> dense(2) -> softmax(axis=C)
}}
train blind {{
    model = Small
    data = dataset("spots.npz", train=plain, val=plain, test=plain)
    loss = mse(out.p, one_hot(data.label, classes=2))
    metrics = [accuracy(out.p, data.label), auc(out.p, data.label)]
    optimizer = sgd(lr=1e-9)
    epochs = 1
    seed = 3
}}
train keen {{
    model = Small(width=4)
    data = dataset("spots.npz", train=plain, val=plain, test=plain)
    loss = mse(out.p, one_hot(data.label, classes=2))
    metrics = [accuracy(out.p, data.label), auc(out.p, data.label)]
    optimizer = adam(lr=3e-2)
    epochs = 6
    seed = 3
}}
study spots {{
    candidates = [{candidates}]
    {settings}
    seed = 4
}}
"""


def _write_data(folder: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 48), ("val", 16), ("test", 20)):
        labels = random.integers(0, 2, count)
        images = random.normal(100 + 60 * labels[:, None, None], 20, (count, 6, 6))
        arrays[f"{part}_images"] = np.clip(images, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez(folder / "spots.npz", **arrays)


def _source(folder: Path, settings: str, candidates: str = "blind, keen") -> dhc.Source:
    _write_data(folder)
    path = folder / "spots.dhm"
    path.write_text(TEXT.format(settings=settings, candidates=candidates))
    return dhc.load(path)


def _settings(text: str) -> StudySettings:
    return study_settings(load_text(TEXT.format(settings=text, candidates="blind, keen")), "spots")


def test_the_better_candidate_wins_and_is_tested_once(tmp_path: Path) -> None:
    rules = "folds = kfold(3, stratify=label)  select = max(val.accuracy)  final = ensemble(top=2)"
    source = _source(tmp_path, rules)
    found = dhc.study(source, out=tmp_path / "study")
    assert [place.candidate for place in found.places] == ["keen", "blind"]
    assert found.places[0].metrics["accuracy"].value > 0.9
    ahead = found.places[1].ahead
    assert ahead is not None
    assert ahead.low > 0
    assert [member.candidate for member in found.members] == ["keen", "keen"]
    assert found.test is not None
    assert found.test.samples == 20
    assert found.test.metrics["accuracy"].interval.value > 0.9
    _check_indicators(tmp_path / "study")
    with pytest.raises(DhcError, match="opened once"):
        dhc.study(source, out=tmp_path / "study", resume=True)


def _check_indicators(folder: Path) -> None:
    """All that dhc can measure is measured; what only people know is all that is missing."""
    measured = development([folder])
    assert [each.name for each in measured.candidates] == ["blind", "keen"]
    assert {each.test.label for each in measured.candidates} == {"measured"}
    assert measured.totm.label == "measured"
    assert [each.run.label for each in measured.preparations] == ["measured"]
    assert measured.ttmip.label == "unknown"
    for candidate in ("blind", "keen"):
        declare(folder / candidate / "fold1", {"design": "1h", "pipeline": "2h"})
    declare(folder, {"deployment": "3h"})
    whole = development([folder]).ttmip
    assert whole.label == "declared"
    assert whole.seconds == pytest.approx(measured.ttmip.seconds + (2 * 1 + 2 + 3) * 3600)


def test_the_final_model_takes_stored_images_and_gives_the_mean(tmp_path: Path) -> None:
    source = _source(tmp_path, "folds = 2  final = ensemble(top=2)", "keen")
    found = dhc.study(source, out=tmp_path / "study")
    runs = [reopen(tmp_path / "study" / m.candidate / f"fold{m.fold}") for m in found.members]
    images = np.load(tmp_path / "spots.npz")["test_images"]
    program = dhc.open(tmp_path / "study" / "final.dhx")
    for image in images[:3]:
        scaled = ((image / np.float32(255) - 0.5) / 0.3).astype(np.float32)
        parts = []
        for run in runs:
            model = source.model("Small", width=4)
            model.load_parameters(run.job.weights())
            parts.append(dhc.compile(model, "reference")(image=scaled[None, None])["p"])
        np.testing.assert_allclose(program(image=image[None])["p"], np.mean(parts, 0), atol=1e-5)


def test_every_sample_is_judged_by_a_model_that_did_not_see_it(tmp_path: Path) -> None:
    dhc.study(_source(tmp_path, "folds = 3", "keen"), out=tmp_path / "study")
    held: list[str] = []
    for number in (1, 2, 3):
        folder = tmp_path / "study" / "keen" / f"fold{number}"
        names = json.loads((folder / "fold.json").read_text())["samples"]
        run = reopen(folder)
        assert set(run.job.dataset.parts) == {"train", "val"}
        assert not {s.name for s in run.job.train.samples} & set(names)
        held += names
    assert len(held) == len(set(held)) == 64


def test_without_folds_the_datas_own_parts_are_used(tmp_path: Path) -> None:
    found = dhc.study(_source(tmp_path, "select = min(val.loss)"), out=tmp_path / "study")
    assert found.places[0].candidate == "keen"
    assert len(found.places[0].folds) == 1
    assert len(found.members) == 1


def test_a_study_goes_on_where_it_was(tmp_path: Path) -> None:
    source = _source(tmp_path, "folds = 2  select = max(val.auc)", "keen")
    dhc.study(source, out=tmp_path / "whole")
    dhc.study(source, out=tmp_path / "again")
    for name in ("final.json", "leaderboard.json", "keen/fold2/fold.json"):
        (tmp_path / "again" / name).unlink()
    before = (tmp_path / "again" / "keen" / "fold1" / "last.ckpt").stat().st_mtime_ns
    dhc.study(source, out=tmp_path / "again", resume=True)
    texts = [(tmp_path / name / "leaderboard.json").read_text() for name in ("whole", "again")]
    assert texts[0] == texts[1]
    assert (tmp_path / "again" / "keen" / "fold1" / "last.ckpt").stat().st_mtime_ns == before


def test_a_changed_program_is_another_study(tmp_path: Path) -> None:
    dhc.study(_source(tmp_path, "folds = 2", "blind"), out=tmp_path / "study")
    (tmp_path / "study" / "final.json").unlink()
    with pytest.raises(DhcError, match="has changed"):
        dhc.study(_source(tmp_path, "folds = 3", "keen"), out=tmp_path / "study", resume=True)
    with pytest.raises(DhcError, match="holds a study already"):
        dhc.study(_source(tmp_path, "folds = 2", "blind"), out=tmp_path / "study")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds = 1", "2 to 1000 folds"),
        ("select = min(val.auc)", "would choose the worst"),
        ("select = max(val.loss)", "would choose the worst"),
        ("select = max(test.auc)", "of the validation part alone"),
        ("select = max(val.dice)", "does not measure 'dice'"),
        ("folds = kfold(3, group=pateint)", "did you mean 'patient'"),
        ("folds = kfold(3, stratify=age)", "stratified by 'label'"),
        ("split = by(patient)", "there are none"),
        ("final = ensemble(top=0)", "at least one model"),
        ("final = early_stopping()", "best"),
    ],
)
def test_settings_without_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(DhcError) as caught:
        _settings(text)
    assert message in str(caught.value)


def test_a_train_with_folds_is_a_study_of_one(tmp_path: Path) -> None:
    _write_data(tmp_path)
    text = TEXT.format(settings="", candidates="blind").split("study spots")[0]
    (tmp_path / "spots.dhm").write_text(text.replace("epochs = 6", "epochs = 1  folds = 2"))
    source = dhc.load(tmp_path / "spots.dhm")
    with pytest.raises(DhcError, match="run it: dhc study FILE keen"):
        dhc.train(source, "keen", out=tmp_path / "run")
    found = dhc.study(source, "keen", out=tmp_path / "study")
    assert len(found.places[0].folds) == len(found.members) == 2


def test_candidates_are_trains(tmp_path: Path) -> None:
    text = TEXT.format(settings="", candidates="Small")
    with pytest.raises(DhcError, match="a train block of the same file"):
        study_settings(load_text(text), "spots")


def test_a_candidate_cannot_begin_with_what_has_seen_its_folds() -> None:
    text = TEXT.format(settings="", candidates="keen")
    text = text.replace("epochs = 6", "epochs = 6  init = blind.best")
    with pytest.raises(DhcError, match="samples that the folds hold back"):
        study_settings(load_text(text), "spots")
