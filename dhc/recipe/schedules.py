"""Schedules: the learning rate over a run.

A schedule is a frozen dataclass; its fields are the arguments in the language, where `a .. b` is a
pair. All but `plateau` depend on nothing but how far the run is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar, dataclass_transform

from dhc.errors import ArgumentError

State = Mapping[str, object]
Range = tuple[float, float] | float


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: Steps done.
        steps_per_epoch, epochs: How long it will take.
    """

    step: int
    steps_per_epoch: int
    epochs: int

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True)
class Schedule:
    """The base: `warmup` steps lead in equal parts from nearly 0 to the first rate.

    Attributes:
        name: In the language.
    """

    name: ClassVar[str] = ""

    def rate(self, progress: Progress, state: State) -> float:
        """Returns the rate of the next step."""
        raise NotImplementedError

    def observe(self, state: State, value: float) -> State:
        """Returns what to remember after an epoch; a lower `value` is better."""
        return state


SCHEDULES: dict[str, type[Schedule]] = {}
T = TypeVar("T", bound=Schedule)


@dataclass_transform(frozen_default=True)
def schedule(name: str) -> Callable[[type[T]], type[T]]:
    """Registers a schedule under its name in the language."""

    def register(cls: type[T]) -> type[T]:
        frozen = dataclass(frozen=True)(cls)
        frozen.name = name
        SCHEDULES[name] = frozen
        return frozen

    return register


def _warm(progress: Progress, warmup: int, first: float) -> float | None:
    """The rate while warming up, None afterwards."""
    if progress.step >= warmup:
        return None
    return first * (progress.step + 1) / (warmup + 1)


def _bounds(rate: Range) -> tuple[float, float]:
    """The first and the last rate; a single number falls to 0."""
    return rate if isinstance(rate, tuple) else (rate, 0.0)


def _require(holds: bool, name: str, text: str) -> None:
    if not holds:
        raise ArgumentError(f"'{name}' needs {text}.")


def _share(progress: Progress, first: int, last: int) -> float:
    """How much of the steps from `first` to `last` is done, from 0 to 1."""
    return min(1.0, max(0.0, (progress.step - first) / max(last - first, 1)))


@schedule("constant")
class Constant(Schedule):
    """One rate, after a warm-up."""

    lr: float
    warmup: int = 0

    def rate(self, progress: Progress, state: State) -> float:
        warm = _warm(progress, self.warmup, self.lr)
        return self.lr if warm is None else warm


@schedule("step")
class Step(Schedule):
    """A rate that is multiplied by `factor` every so many epochs."""

    lr: float
    every: int
    factor: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        _require(self.every > 0, "step", "'every' to be at least 1")

    def rate(self, progress: Progress, state: State) -> float:
        warm = _warm(progress, self.warmup, self.lr)
        return self.lr * self.factor ** (progress.epoch // self.every) if warm is None else warm


@schedule("multistep")
class MultiStep(Schedule):
    """A rate that is multiplied by `factor` after each of the epochs in `at`."""

    lr: float
    at: tuple[int, ...]
    factor: float = 0.1
    warmup: int = 0

    def rate(self, progress: Progress, state: State) -> float:
        warm = _warm(progress, self.warmup, self.lr)
        passed = sum(1 for epoch in self.at if progress.epoch >= epoch)
        return self.lr * self.factor**passed if warm is None else warm


@schedule("exponential")
class Exponential(Schedule):
    """A rate that is multiplied by `factor` every epoch."""

    lr: float
    factor: float = 0.95
    warmup: int = 0

    def rate(self, progress: Progress, state: State) -> float:
        warm = _warm(progress, self.warmup, self.lr)
        return self.lr * self.factor**progress.epoch if warm is None else warm


@schedule("polynomial")
class Polynomial(Schedule):
    """A rate that falls from the first bound to the second as a power of what is left."""

    lr: Range
    power: float = 1.0
    warmup: int = 0

    def rate(self, progress: Progress, state: State) -> float:
        high, low = _bounds(self.lr)
        warm = _warm(progress, self.warmup, high)
        left = 1 - _share(progress, self.warmup, progress.total)
        return low + (high - low) * left**self.power if warm is None else warm


@schedule("cosine")
class Cosine(Schedule):
    """A rate that falls along a cosine from the first bound to the second (arXiv:1608.03983).

    With `cycle` epochs it starts anew after each cycle, which is `grow` times as long as the one
    before.
    """

    lr: Range
    warmup: int = 0
    cycle: int = 0
    grow: int = 1

    def __post_init__(self) -> None:
        _require(self.grow >= 1, "cosine", "'grow' to be at least 1")

    def rate(self, progress: Progress, state: State) -> float:
        high, low = _bounds(self.lr)
        warm = _warm(progress, self.warmup, high)
        if warm is not None:
            return warm
        share = self._share_of_cycle(progress)
        return low + (high - low) * (1 + math.cos(math.pi * share)) / 2

    def _share_of_cycle(self, progress: Progress) -> float:
        if not self.cycle:
            return _share(progress, self.warmup, progress.total)
        done, length = progress.step - self.warmup, self.cycle * progress.steps_per_epoch
        while done >= length:
            done, length = done - length, length * self.grow
        return done / length


@schedule("one_cycle")
class OneCycle(Schedule):
    """From a `divide`-th of the rate up to it, then down to a `end`-th of where it began.

    (arXiv:1708.07120; both ways along a cosine.)
    """

    lr: float
    rise: float = 0.3
    divide: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        _require(0 < self.rise < 1, "one_cycle", "'rise' between 0 and 1")

    def rate(self, progress: Progress, state: State) -> float:
        first = self.lr / self.divide
        top, last = self.rise * progress.total - 1, progress.total - 1
        if progress.step <= top:
            return _cosine(first, self.lr, progress.step / max(top, 1e-12))
        share = min(1.0, (progress.step - top) / max(last - top, 1e-12))
        return _cosine(self.lr, first / self.end, share)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@schedule("plateau")
class Plateau(Schedule):
    """A rate that is multiplied by `factor` when the watched value has not improved for long.

    An epoch is an improvement if its value is below the best by `threshold` of it. After more than
    `patience` epochs without one the rate falls, and `cooldown` epochs are not counted.
    """

    lr: float
    patience: int = 10
    factor: float = 0.1
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0

    def rate(self, progress: Progress, state: State) -> float:
        falls = state.get("falls", 0)
        assert isinstance(falls, int)
        return max(self.lr * self.factor**falls, self.least)

    def observe(self, state: State, value: float) -> State:
        best, bad = state.get("best"), state.get("bad", 0)
        cooling, falls = state.get("cooling", 0), state.get("falls", 0)
        assert isinstance(bad, int)
        assert isinstance(cooling, int)
        assert isinstance(falls, int)
        assert best is None or isinstance(best, float)
        if best is None or value < best * (1 - math.copysign(self.threshold, best)):
            best, bad = value, 0
        else:
            bad += 1
        if cooling > 0:
            cooling, bad = cooling - 1, 0
        if bad > self.patience:
            falls, cooling, bad = falls + 1, self.cooldown, 0
        return {"best": best, "bad": bad, "cooling": cooling, "falls": falls}
