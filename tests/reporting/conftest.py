"""A run's folder as a training leaves it, written by hand: its names are hostile."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dhc.runtime.reporting.evidence import (
    Case,
    Confusion,
    Evidence,
    Examples,
    RocCurve,
    Scatter,
    png,
    write_evidence,
)
from dhc.runtime.reporting.files import (
    DATA,
    DESCRIPTION,
    ENVIRONMENT,
    PROGRAM,
    RESOLVED,
    RESULTS,
    STATUS,
    DataSummary,
    PartSummary,
    Status,
    write_json,
    write_record,
    write_text,
)
from dhc.runtime.reporting.history import History
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord

HOSTILE = "<script>alert('x')</script>\"&\x00\u202e"
STEPS, EPOCHS = 4, 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of five epochs."""
    write_json(
        tmp_path / DESCRIPTION,
        {"train": HOSTILE, "file": "a.dhm", "data": f"/{HOSTILE}", "target": "cpu", "settings": []},
    )
    write_json(tmp_path / ENVIRONMENT, {"python": "3.12", "packages": {"numpy": HOSTILE}})
    write_text(tmp_path / RESOLVED, f'train lung {{ data = dataset("{HOSTILE}") }}')
    write_text(tmp_path / PROGRAM / "a.dhm", f"# {HOSTILE}\n")
    parts = {"train": PartSummary(40, 8, {HOSTILE: 30, "b": 10}), "test": PartSummary(10, 2, {})}
    data = DataSummary(HOSTILE, True, {"image": "image", "label": "label"}, (HOSTILE, "b"), parts)
    write_record(tmp_path / DATA, data)
    write_record(tmp_path / STATUS, Status(True, f"stopped {HOSTILE}", EPOCHS, STEPS))
    write_results(tmp_path)
    write_evidence(tmp_path, {"test": evidence()})
    write_history(tmp_path)
    return tmp_path


def write_results(folder: Path) -> None:
    metric = {"value": 0.75, "low": 0.5, "high": 0.875, "level": 0.95}
    metrics = {
        "accuracy": metric,
        HOSTILE: {**metric, "components": {"0": 0.5, "1": None}},
        "psnr": {"value": 31.5, "low": None, "high": None, "level": 0.95, "components": {}},
    }
    results = {"test": {"samples": 10, "groups": 2, "loss": None, "metrics": metrics}}
    write_json(folder / RESULTS, results)


def evidence() -> Evidence:
    picture = png(np.zeros((4, 4, 3), np.uint8))
    case = Case(HOSTILE, "worst", "dice 0.100", {"image": picture, "truth": 'x" onerror="y'})
    return Evidence(
        confusions=(Confusion("logits", (HOSTILE, "b"), ((7, 1), (0, 0))),),
        curves=(RocCurve("logits", HOSTILE, ((0.0, 0.0), (0.25, 0.75), (1.0, 1.0))),),
        examples=(Examples(HOSTILE, "dice", (case,)),),
        scatters=(Scatter("age", "value", 3, ((1.0, 1.5), (2.0, 1.0), (3.0, 3.5))),),
    )


def write_history(folder: Path) -> None:
    history = History(folder)
    history.started(RunPlan("lung", EPOCHS, STEPS, {}), 0)
    for epoch in range(1, EPOCHS + 1):
        for position in range(1, STEPS + 1):
            step = (epoch - 1) * STEPS + position
            record = StepRecord(step, epoch, position, 1 / step, 0.1 / step, 10, 0.25, 0.05)
            history.step(record)
        found = {"loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch, "auc": math.nan}
        seconds = {"train": 1.5, "validate": 0.5}
        history.epoch(
            EpochRecord(epoch, epoch * STEPS, {"loss": 2 / epoch}, found, epoch != 5, seconds)
        )
    history.stopped("all epochs are done")


def json_of(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    return content
