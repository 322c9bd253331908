"""Keeps the report of a run up to date while it trains."""

from __future__ import annotations

import time
from pathlib import Path

from dhc.runtime.reporting.files import STATUS, Status, write_record
from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord
from dhc.runtime.reporting.report.page import write_report

EVERY = 15.0  # seconds between reports at least, so that short epochs do not wait for them
SHARE = 0.02  # of the time at most that reports of long histories take


class Report:
    """An observer that writes where the run is, and the report now and then.

    It comes after the history, of which the report is made. The last report is left to whoever
    knows when all of the run's files are complete.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._status = Status(False, "", 0, 1)
        self._due = time.monotonic() + EVERY

    def started(self, plan: RunPlan, done: int) -> None:
        self._note(Status(False, "", plan.epochs, plan.steps_per_epoch))

    def step(self, record: StepRecord) -> None:
        """Steps are in the history."""

    def epoch(self, record: EpochRecord) -> None:
        began = time.monotonic()
        if began >= self._due:
            write_report(self._folder)
            took = time.monotonic() - began
            self._due = began + max(EVERY, took / SHARE)

    def saving(self) -> None:
        """The history keeps what the report shows."""

    def stopped(self, why: str) -> None:
        old = self._status
        self._note(Status(True, why, old.epochs, old.steps_per_epoch))

    def _note(self, status: Status) -> None:
        self._status = status
        write_record(self._folder / STATUS, status)
