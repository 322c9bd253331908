"""Checkpoints are written while training goes on, one after another, and never forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dhc.runtime import saving
from dhc.runtime.checkpoint import Checkpoint, read_checkpoint
from dhc.runtime.saving import Saver


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint({"w": np.full(3, step, np.float32)}, {"step": step})


def test_training_goes_on_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one begins when the first is written; the end waits for the last."""
    written: list[int] = []
    may_write = threading.Event()

    def slow(path: Path, checkpoint: Checkpoint) -> None:
        assert may_write.wait(30)
        written.append(int(str(checkpoint.state["step"])))

    monkeypatch.setattr(saving, "write_checkpoint", slow)
    with Saver() as saver:
        saver.save([tmp_path / "last"], _checkpoint(1))
        assert written == []
        may_write.set()
        saver.save([tmp_path / "last"], _checkpoint(2))
        assert 1 in written
    assert written == [1, 2]


def test_all_names_have_the_same_content(tmp_path: Path) -> None:
    paths = [tmp_path / "best", tmp_path / "last"]
    with Saver() as saver:
        saver.save(paths, _checkpoint(4))
    assert [read_checkpoint(path).state for path in paths] == [{"step": 4}] * 2


def _save_twice(path: Path) -> None:
    with Saver() as saver:
        saver.save([path], _checkpoint(1))
        saver.save([path.with_name("other")], _checkpoint(2))


def _save_and_fail(path: Path) -> None:
    with Saver() as saver:
        saver.save([path], _checkpoint(1))
        raise ValueError("earlier")


def _save(path: Path) -> None:
    with Saver() as saver:
        saver.save([path], _checkpoint(1))


@pytest.mark.parametrize("use", [_save, _save_twice])
def test_what_cannot_be_written_is_an_error_soon(
    tmp_path: Path, use: Callable[[Path], None]
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        use(tmp_path / "file" / "last")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_earlier_error_is_the_one_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="earlier"):
        _save_and_fail(tmp_path / "file" / "last")
