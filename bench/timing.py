"""Measures several contenders in turns, so that what disturbs the machine disturbs all of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Call = Callable[[], object]

REST = 0.1  # seconds before each turn: the threads of ONNX Runtime spin for 20 to 100 ms
MAX_CALLS = 50


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    Attributes:
        rounds: How many turns each contender has.
        seconds: After that time no further round begins, once there are two.
        turn: The seconds that the calls of one turn should take together.
    """

    rounds: int = 15
    seconds: float = 60.0
    turn: float = 0.05


@dataclass(frozen=True)
class Times:
    """Milliseconds of one contender.

    Attributes:
        rounds: The median of each turn.
        least: The quickest of all calls.
    """

    rounds: tuple[float, ...]
    least: float

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)


def interleave(
    calls: Mapping[str, Call], plan: Plan, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Times]:
    """Calls each contender a few times in each round; another one begins every time.

    The first call of a turn is not counted: it brings data and code back into the caches.

    Args:
        calls: The contenders.
        plan: How long to measure.
        clock: Gives seconds.
    """
    begin = clock()
    counts = {name: _count(call, plan, clock) for name, call in calls.items()}
    turns: dict[str, list[list[float]]] = {name: [] for name in calls}
    for number in range(plan.rounds):
        if number >= 2 and clock() - begin > plan.seconds:
            break
        for name in rotated(list(calls), number):
            time.sleep(REST)
            calls[name]()
            turns[name].append([_milliseconds(calls[name], clock) for _ in range(counts[name])])
    return {name: _times(found) for name, found in turns.items()}


def rotated(names: Sequence[str], number: int) -> list[str]:
    """Returns the names in order, beginning with another one in every round."""
    start = number % len(names) if names else 0
    return [*names[start:], *names[:start]]


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the mean that suits ratios."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


def _count(call: Call, plan: Plan, clock: Callable[[], float]) -> int:
    """How many calls fit into a turn, from the second of two calls."""
    call()
    seconds = _milliseconds(call, clock) / 1e3
    return max(1, min(MAX_CALLS, round(plan.turn / max(seconds, 1e-6))))


def _milliseconds(call: Call, clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return (clock() - start) * 1e3


def _times(turns: Sequence[Sequence[float]]) -> Times:
    medians = tuple(statistics.median(turn) for turn in turns)
    return Times(medians, min(min(turn) for turn in turns))
