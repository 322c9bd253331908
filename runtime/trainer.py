"""The loop of a training run: steps, validation, checkpoints, early stopping, resuming.

A run that is stopped at any moment and resumed ends with the same bytes as one that was not. What
it needs for that is in each checkpoint; nothing else is remembered. Observers see every step and
epoch before the checkpoint that includes it, so what they keep can be cut back to a checkpoint.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.runtime.checkpoint import Checkpoint, read_checkpoint
from dhc.runtime.comm.agree import first_alone, share_arrays, share_json, together
from dhc.runtime.comm.base import Alone, Communicator
from dhc.runtime.reporting.records import EpochRecord, Observer, RunPlan, StepRecord
from dhc.runtime.saving import Saver

LAST, BEST = "last.ckpt", "best.ckpt"
EXPLODED = 1e3  # times the largest loss of the first epoch

Batch = Mapping[str, Array]


class Job(Protocol):
    """What a run does, compiled and bound to its data."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch; the last one may be short."""

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """Yields the batches of an epoch from number `first` on."""

    def step(self, number: int, rate: float, batch: Batch) -> float:
        """Does step `number`, counted from 1, and returns the mean loss of its samples."""

    def size(self, batch: Batch) -> int:
        """Returns how many samples a batch has."""

    def validate(self) -> dict[str, float]:
        """Returns loss and metrics of the validation part; nothing without one."""

    def arrays(self) -> dict[str, Array]:
        """Returns all parameters and moments by path; steps do not change these arrays."""

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Replaces all parameters and moments."""

    def diagnose(self, batch: Batch) -> str:
        """Says where a batch makes the first value that is no number."""


@dataclass(frozen=True)
class Rules:
    """When a run saves, what it watches and when it stops.

    Attributes:
        epochs: How many at most.
        every: Steps between checkpoints within an epoch; 0 for none.
        monitor: The validation number that decides what is best; the loss if empty.
        rises: Whether more of it is better.
        patience: Epochs without improvement before the run stops; 0 for no such stop.
        least: What counts as an improvement.
        program: A digest of the resolved program; resuming needs the same one.
    """

    epochs: int
    every: int = 0
    monitor: str = ""
    rises: bool = False
    patience: int = 0
    least: float = 0.0
    program: str = ""


@dataclass(frozen=True)
class State:
    """Where a run is; all of it is JSON.

    Attributes:
        step: Steps done since the beginning.
        epoch: Epochs finished.
        position: Batches of the current epoch that are done.
        total, samples: The sum of losses over the samples of this epoch so far, and their number.
        largest: The largest loss of a step of the first epoch so far, without its sign.
        best: The best value of what is watched, and after which epoch.
        stale: Epochs since then.
        schedule: What the learning rate remembers.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    total: float = 0.0
    samples: int = 0
    largest: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    stale: int = 0
    schedule: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: Where it is.
        reason: Why it ended, in words.
        signal: The signal that asked it to, or 0.
    """

    state: State
    reason: str
    signal: int = 0


class Trainer:
    """Runs a job.

    Args:
        job: What to do.
        rules: When to save and stop.
        rate: The learning rate, from the state of its schedule and the progress in epochs.
        observe: The next state of the schedule, from the old one and the watched value.
        folder: Where checkpoints go.
        observers: Who is told of steps and epochs, in order.
        communicator: The ranks that share the run; rank 0 alone reads and writes files.
    """

    def __init__(
        self,
        job: Job,
        rules: Rules,
        rate: Callable[[Mapping[str, object], float], float],
        observe: Callable[[Mapping[str, object], float], Mapping[str, object]],
        folder: Path,
        observers: Sequence[Observer] = (),
        communicator: Communicator | None = None,
    ) -> None:
        self._ranks = communicator or Alone()
        self._job = job
        self._rules = rules
        self._rate = rate
        self._observe = observe
        self._folder = folder
        self._observers = tuple(observers)
        self._saver = Saver()
        self._asked = 0  # the signal that this rank was sent
        self._stopping = 0  # the same of any rank, as all of them know it

    def run(self, plan: RunPlan, start: State | None = None, resume: bool = False) -> Outcome:
        """Trains until the epochs are done, the rules say stop, or a signal comes.

        Args:
            plan: What observers are told at the beginning.
            start: The state at the beginning, with what the schedule remembers.
            resume: Whether to go on from the last checkpoint.

        Raises:
            DhcError: if the folder holds another run, the checkpoint does not fit, or the loss is
                no number any more.
            OSError: naming the file, if a checkpoint cannot be written.
        """
        state = self._resumed() if resume else self._fresh(start or State())
        self._asked = self._stopping = 0
        for observer in self._observers:
            observer.started(plan, state.step)
        try:
            with self._signals(), Saver() as self._saver:
                outcome = self._epochs(state)
        except BaseException as error:
            self._stop_observers(_words(error))
            raise
        self._stop_observers(outcome.reason)
        return outcome

    def _stop_observers(self, reason: str) -> None:
        for observer in self._observers:
            observer.stopped(reason)

    # ---- epochs and steps ------------------------------------------------------------------------

    def _epochs(self, state: State) -> Outcome:
        while not (reason := self._finished(state)):
            if self._agree_to_stop():
                return Outcome(state, f"stopped by signal {self._stopping}", self._stopping)
            began = time.perf_counter()
            state = self._steps(state)
            if state.position == self._job.steps_per_epoch:
                state, better = self._end_epoch(state, began)
                self._save((BEST, LAST) if better else (LAST,), state)
            else:
                self._save((LAST,), state)
        return Outcome(state, reason)

    def _finished(self, state: State) -> str:
        """Why the run is over, or nothing; it depends on the state alone, so resuming agrees."""
        if self._rules.patience and state.stale >= self._rules.patience:
            return f"no improvement for {state.stale} epochs"
        return "all epochs are done" if state.epoch >= self._rules.epochs else ""

    def _steps(self, state: State) -> State:
        """Does the rest of an epoch, or as much of it as signals allow.

        After the last step nothing is saved before the epoch has ended: the number of steps in a
        checkpoint also says which epochs it includes.
        """
        count = self._job.steps_per_epoch
        waiting = time.perf_counter()
        for batch in self._job.batches(state.epoch, state.position):
            state = self._step(state, batch, waiting)
            if state.position < count:
                if self._agree_to_stop():
                    break
                if self._rules.every and state.step % self._rules.every == 0:
                    self._save((LAST,), state)
            waiting = time.perf_counter()
        if state.position != count and not self._stopping:
            raise RuntimeError(f"The job said {count} batches and gave {state.position}.")
        return state

    def _step(self, state: State, batch: Batch, waiting: float) -> State:
        """Does one step; `waiting` is since when its data were waited for."""
        began = time.perf_counter()
        progress = state.epoch + state.position / self._job.steps_per_epoch
        rate = self._rate(state.schedule, progress)
        loss = self._job.step(state.step + 1, rate, batch)
        self._check(loss, state, batch)
        ended = time.perf_counter()
        size = self._job.size(batch)
        state = replace(
            state,
            step=state.step + 1,
            position=state.position + 1,
            total=state.total + loss * size,
            samples=state.samples + size,
            largest=state.largest if state.epoch else max(state.largest, abs(loss)),
        )
        record = StepRecord(
            state.step, state.epoch + 1, state.position, loss, rate, size,
            ended - began, began - waiting,
        )  # fmt: skip
        for observer in self._observers:
            observer.step(record)
        return state

    def _check(self, loss: float, state: State, batch: Batch) -> None:
        """Stops a run whose loss is no number, or far above where it began.

        Raises:
            DhcError: naming the layer where it began, as far as that can be found.
        """
        where = f"in step {state.step + 1}, epoch {state.epoch + 1}"
        if not math.isfinite(loss):
            self._refuse(_fail(f"The loss is {loss} {where}: {self._job.diagnose(batch)}"))
        if state.epoch and abs(loss) > EXPLODED * state.largest > 0:
            text = f"The loss is {loss:.4g} {where}, and was at most {state.largest:.4g} in the "
            self._refuse(_fail(f"{text}first epoch: {self._job.diagnose(batch)}"))

    def _refuse(self, error: DhcError) -> None:
        """Raises what all ranks have found alike."""

        def fail() -> None:
            raise error

        together(self._ranks, fail)

    def _end_epoch(self, state: State, began: float) -> tuple[State, bool]:
        """Validates; returns the state of the next epoch, and whether this one is the best."""
        mean = state.total / state.samples
        trained = time.perf_counter()
        found = self._job.validate()
        ended = time.perf_counter()
        watched = self._watched(found, mean)
        better = self._is_better(watched, state)
        record = EpochRecord(
            state.epoch + 1, state.step, {"loss": mean}, found, better,
            {"train": trained - began, "validate": ended - trained},
        )  # fmt: skip
        for observer in self._observers:
            observer.epoch(record)
        following = replace(
            state,
            epoch=state.epoch + 1,
            position=0,
            total=0.0,
            samples=0,
            best=watched if better and math.isfinite(watched) else state.best,
            best_epoch=state.epoch + 1 if better else state.best_epoch,
            stale=0 if better else state.stale + 1,
            schedule=self._observe(state.schedule, watched),
        )
        return following, better

    def _watched(self, found: Mapping[str, float], mean: float) -> float:
        """The number that decides what is best: of the validation part, else the mean loss.

        Raises:
            DhcError: if the rules name another one than validation gives.
        """
        name = self._rules.monitor
        if name and name not in found:
            known = ", ".join(found) or "nothing"
            text = f"The run watches '{name}' of the validation part, which gives {known}."
            self._refuse(_fail(text, "add a validation part or metric, or watch something else"))
        return float(found.get(name or "loss", mean))

    def _is_better(self, value: float, state: State) -> bool:
        """Whether an epoch is the best so far; the first one is, so that there always is one."""
        if not math.isfinite(value) or state.best is None:
            return math.isfinite(value) or state.epoch == 0
        gain = value - state.best if self._rules.rises else state.best - value
        return gain > self._rules.least

    # ---- checkpoints -----------------------------------------------------------------------------

    def _save(self, names: Sequence[str], state: State) -> None:
        """Begins to write checkpoints; observers first keep what lies before them."""
        if self._ranks.rank:
            return
        for observer in self._observers:
            observer.saving()
        content = {"run": asdict(state), "program": self._rules.program}
        paths = [self._folder / name for name in names]
        self._saver.save(paths, Checkpoint(self._job.arrays(), content))

    def _fresh(self, start: State) -> State:
        def check() -> None:
            if (self._folder / LAST).exists():
                hints = ("resume it", "train into another folder")
                raise _fail(f"'{self._folder}' holds a run already.", *hints)

        first_alone(self._ranks, check)
        return start

    def _resumed(self) -> State:
        """Takes the state of the last checkpoint, which rank 0 reads for all."""
        empty = Checkpoint({}, {})
        first = self._ranks.rank == 0
        found = together(self._ranks, self._last if first else lambda: empty)
        arrays = share_arrays(self._ranks, found.arrays)
        content = share_json(self._ranks, found.state)

        def take() -> State:
            state = state_from(content)
            self._job.restore(arrays)
            return state

        return together(self._ranks, take)

    def _last(self) -> Checkpoint:
        if not (self._folder / LAST).exists():
            hint = "start it: nothing was saved yet"
            raise _fail(f"'{self._folder}' holds no run that could be resumed.", hint)
        found = read_checkpoint(self._folder / LAST)
        if found.state.get("program") != self._rules.program:
            hint = "train into another folder, or restore the program that the run began with"
            raise _fail("The program has changed since the run began.", hint)
        return found

    # ---- signals ---------------------------------------------------------------------------------

    def _agree_to_stop(self) -> int:
        """The signal that any rank was sent, so that all stop after the same step; else 0."""
        found = self._ranks.allgather(bytes([self._asked]) if self._asked else b"")
        self._stopping = next((content[0] for content in found if content), 0)
        return self._stopping

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM finish the step; a second one interrupts at once."""

        def note(number: int, frame: FrameType | None) -> None:
            if self._asked:
                raise KeyboardInterrupt
            self._asked = number

        try:
            before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread, where no signals come
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def state_from(content: Mapping[str, object]) -> State:
    """Returns the state in a checkpoint.

    Raises:
        DhcError: if it is none.
    """
    found = content.get("run")
    if not isinstance(found, dict) or found.keys() != _FITS.keys():
        raise _fail("The checkpoint holds no state of a run.")
    for name, fits in _FITS.items():
        if not fits(found[name]):
            raise _fail(f"The checkpoint holds no state of a run: '{name}' is {found[name]!r}.")
    return State(**found)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, float)


_FITS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("step", "epoch", "position", "samples", "best_epoch", "stale"), _is_count),
    **dict.fromkeys(("total", "largest"), _is_number),
    "best": lambda value: value is None or _is_number(value),
    "schedule": lambda value: isinstance(value, dict),
}


def _words(error: BaseException) -> str:
    """Why a run ended with an error, for observers."""
    if isinstance(error, DhcError):
        return error.diagnostics[0].message
    return "interrupted" if isinstance(error, KeyboardInterrupt) else repr(error)


def _fail(text: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic("training", text, hints=hints))
