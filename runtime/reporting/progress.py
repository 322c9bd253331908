"""Progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord

SMOOTH = 0.95  # of the running means of loss and time


class ShowProgress:
    """An observer that tells a person where the run is and when it will be done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._plan = RunPlan("", 0, 0, {})
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._loss = self._pace = 0.0
        self._done = 0

    def started(self, plan: RunPlan, done: int) -> None:
        self._plan, self._done = plan, done
        counts = ", ".join(f"{count} {part}" for part, count in plan.samples.items())
        kind = "synthetic samples" if plan.synthetic else "samples"
        self._console.print(f"{plan.name}: {counts} {kind}, {plan.epochs} epochs")
        for note in plan.notes:
            self._console.print(note, markup=False)
        if self._console.is_terminal:
            text = TextColumn("{task.description}")
            self._bar = Progress(text, BarColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task("", total=plan.epochs * plan.steps_per_epoch)
            self._bar.start()

    def step(self, record: StepRecord) -> None:
        first = not self._pace
        self._loss = record.loss if first else _smooth(self._loss, record.loss)
        seconds = record.seconds + record.waited
        # The first step compiles kernels for its sizes; it says nothing of the others.
        self._pace = seconds if first or record.position == 2 else _smooth(self._pace, seconds)
        self._done = record.step
        if self._bar is not None:
            text = (
                f"epoch {record.epoch}/{self._plan.epochs}  loss {self._loss:.4f}  {self._left()}"
            )
            self._bar.update(self._task, completed=record.step, description=text)

    def epoch(self, record: EpochRecord) -> None:
        numbers = {"loss": record.train["loss"]}
        numbers |= {f"val {name}": value for name, value in record.val.items()}
        mark = "  *" if record.best else ""
        seconds = sum(record.seconds.values())
        text = f"epoch {record.epoch:>3}  {in_words(numbers)}  {seconds:.1f} s"
        left = f"  {self._left()}" if record.epoch < self._plan.epochs else ""
        self._console.print(f"{text}{mark}{left}", soft_wrap=True)

    def saving(self) -> None:
        """Nothing to keep."""

    def stopped(self, why: str) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._console.print(f"{why[0].upper()}{why[1:]}.")

    def _left(self) -> str:
        steps = self._plan.epochs * self._plan.steps_per_epoch - self._done
        return f"{duration(steps * self._pace)} left"


@contextmanager
def show_work(
    what: str, total: int, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Tells a person what a command is busy with.

    Args:
        what: In words.
        total: How many pieces the work has.
        console: Where; the error stream if not given.

    Yields:
        What is to be called with the number of finished pieces.
    """
    console = console or Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"{what} ...", soft_wrap=True)
        yield lambda done: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def in_words(numbers: Mapping[str, float]) -> str:
    """Returns names with numbers, such as `loss 0.1234  val dice 0.9012`."""
    return "  ".join(f"{name} {value:.4f}" for name, value in numbers.items())


def duration(seconds: float) -> str:
    """Returns a time that people understand, such as `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    whole = time.gmtime(seconds)
    hours = int(seconds // 3600)
    return f"{hours} h {whole.tm_min:02} min"


def _smooth(old: float, new: float) -> float:
    return SMOOTH * old + (1 - SMOOTH) * new
