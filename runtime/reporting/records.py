"""What a training run tells its observers: history, events, progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class RunPlan:
    """What is going to happen.

    Attributes:
        name: The train's name in its file.
        epochs, steps_per_epoch: How long it will take at most.
        samples: How many there are in each part of the data.
        synthetic: Whether the data were made by a program.
        notes: What people should know of how it begins.
    """

    name: str
    epochs: int
    steps_per_epoch: int
    samples: Mapping[str, int]
    synthetic: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepRecord:
    """One step.

    Attributes:
        step: Counted from 1 since the beginning of the run.
        epoch: Counted from 1.
        position: Counted from 1 within the epoch.
        loss: The mean over the samples of the step.
        rate: The learning rate.
        samples: How many.
        seconds: The step itself.
        waited: Seconds before it, for data.
    """

    step: int
    epoch: int
    position: int
    loss: float
    rate: float
    samples: int
    seconds: float
    waited: float


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Counted from 1.
        step: Steps done since the beginning of the run.
        train: Means over the epoch, the loss among them.
        val: Loss and metrics of the validation part, if there is one.
        best: Whether this is the best epoch so far.
        seconds: What took how long: train, validate.
    """

    epoch: int
    step: int
    train: Mapping[str, float]
    val: Mapping[str, float]
    best: bool
    seconds: Mapping[str, float]


class Observer(Protocol):
    """Sees a run; it is called between steps and must be quick."""

    def started(self, plan: RunPlan, done: int) -> None:
        """The run begins, or goes on after `done` steps."""

    def step(self, record: StepRecord) -> None:
        """A step is done."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""

    def saving(self) -> None:
        """A checkpoint follows: what was seen must be on disk before it."""

    def stopped(self, reason: str) -> None:
        """The run ends."""
