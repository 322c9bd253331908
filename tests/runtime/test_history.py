"""The history of a run, and its curves for TensorBoard."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from dhc.errors import DhcError
from dhc.runtime.reporting.events import Events, crc32c, framed
from dhc.runtime.reporting.history import FILE, History, read_history
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord

PLAN = RunPlan("lung", 2, 3, {"train": 9})


def _step(number: int) -> StepRecord:
    return StepRecord(number, 1, number, 0.5 / number, 1e-3, 3, 0.01, 0.0)


def _epoch(number: int, step: int) -> EpochRecord:
    return EpochRecord(number, step, {"loss": 0.3}, {"loss": 0.4, "dice": 0.7}, True, {"train": 1})


def _run(history: History, first: int, last: int, done: int = 0) -> None:
    history.started(PLAN, done)
    for number in range(first, last + 1):
        history.step(_step(number))
        if number % 3 == 0:
            history.epoch(_epoch(number // 3, number))
    history.stopped("")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    _run(History(tmp_path), 1, 6)
    steps, epochs = read_history(tmp_path)
    assert steps == [_step(number) for number in range(1, 7)]
    assert epochs == [_epoch(1, 3), _epoch(2, 6)]


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path: Path) -> None:
    _run(History(tmp_path), 1, 5)
    _run(History(tmp_path), 3, 6, done=2)
    steps, epochs = read_history(tmp_path)
    assert [record.step for record in steps] == [1, 2, 3, 4, 5, 6]
    assert [record.step for record in epochs] == [3, 6]


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    _run(History(tmp_path), 1, 2)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"kind": "step", "step": 3, "lo')
    assert [record.step for record in read_history(tmp_path)[0]] == [1, 2]
    _run(History(tmp_path), 3, 3, done=2)
    assert [record.step for record in read_history(tmp_path)[0]] == [1, 2, 3]


def test_what_a_checkpoint_includes_is_on_disk_before_it(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.started(PLAN, 0)
    history.step(_step(1))
    history.saving()
    assert read_history(tmp_path)[0] == [_step(1)]
    history.stopped("")


def test_a_new_run_begins_a_new_history(tmp_path: Path) -> None:
    _run(History(tmp_path), 1, 4)
    _run(History(tmp_path), 1, 1)
    assert [record.step for record in read_history(tmp_path)[0]] == [1]


@pytest.mark.parametrize("content", [None, '{"kind": "step", "step": 1}\n'])
def test_a_folder_without_a_run_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / FILE).write_text(content)
    with pytest.raises(DhcError, match="run"):
        read_history(tmp_path)


# ---- TensorBoard -----------------------------------------------------------------------------


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA


def _records(content: bytes) -> list[bytes]:
    """The records of a file, whose checksums must be right."""
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        body = content[12 : 12 + length]
        assert framed(body) == content[: length + 16]
        found.append(body)
        content = content[length + 16 :]
    return found


def _scalars(record: bytes) -> dict[str, float]:
    """The tags and simple values of an event, found by the keys of their fields."""
    found = re.findall(rb"\n.([a-z]+/[a-z]+)\x15(.{4})", record, re.DOTALL)
    return {tag.decode(): round(struct.unpack("<f", value)[0], 6) for tag, value in found}


def test_curves(tmp_path: Path) -> None:
    events = Events(tmp_path)
    events.started(PLAN, 0)
    for number in (9, 10):
        events.step(replace(_step(number), loss=0.25, rate=0.5))
    events.epoch(_epoch(1, 11))
    events.stopped("")
    (path,) = tmp_path.glob("events.out.tfevents.*")
    version, start, step, epoch = _records(path.read_bytes())
    assert b"brain.Event:2" in version
    assert start.endswith(b"\x3a\x02\x08\x01")
    assert _scalars(step) == {"step/loss": 0.25, "step/rate": 0.5}
    assert _scalars(epoch) == {"train/loss": 0.3, "val/loss": 0.4, "val/dice": 0.7}


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1}',
        '{"kind": "step", "step": 1}',
        '{"kind": "step", "step": 1, "epoch": 1, "position": 1, "loss": "x", "rate": 0.1, '
        '"samples": 1, "seconds": 0.1, "waited": 0.1}',
        '{"kind": "epoch", "step": 1, "epoch": 1, "train": {"loss": []}, "val": {}, "best": true, '
        '"seconds": {}}',
    ],
)
def test_a_line_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "history.jsonl").write_text(line + "\n")
    with pytest.raises(DhcError, match="is no history of a run"):
        read_history(tmp_path)
