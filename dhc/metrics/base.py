"""What a metric is: a row of numbers for each sample, and a summary of any rows.

Rows of several batches, ranks or runs are put together by concatenation, so the result is exact
over a data set whatever its batches were; an interval is the summary of rows drawn again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from dhc.errors import ArgumentError

Array = NDArray[Any]
Rows = NDArray[np.float64]
Counts = NDArray[np.int64]


class Metric(ABC):
    """The base of all metrics; the fields of a metric are its arguments in the language.

    Attributes:
        name: In the language.
        better: Whether more of it is better.
    """

    name: ClassVar[str] = ""
    better: ClassVar[Literal["higher", "lower"]] = "higher"

    @abstractmethod
    def rows(self, prediction: Array, truth: Array) -> Rows:
        """Returns what each sample contributes, [N, ...].

        Raises:
            ArgumentError: if the arrays do not fit each other or the metric.
        """

    @abstractmethod
    def value(self, rows: Rows) -> float:
        """Returns the metric over samples; NaN where the data do not determine it."""

    def components(self, rows: Rows) -> dict[str, float]:
        """Returns the numbers behind the value, such as one for each class; none by default."""
        return {}

    def counted(self, rows: Rows) -> Callable[[Counts], float]:
        """Returns the value as a function of how often each sample counts.

        Override it where what all draws share, such as an order, is worth doing once.
        """
        return lambda counts: self.value(np.repeat(rows, counts, axis=0))


METRICS: dict[str, type[Metric]] = {}
T = TypeVar("T", bound=Metric)


@dataclass_transform(frozen_default=True)
def metric(
    name: str, better: Literal["higher", "lower"] = "higher"
) -> Callable[[type[T]], type[T]]:
    """Registers a metric under its name in the language."""

    def register(cls: type[T]) -> type[T]:
        frozen = dataclass(frozen=True)(cls)
        frozen.name, frozen.better = name, better
        METRICS[name] = frozen
        return frozen

    return register


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Returns the rows of several batches as one array [N, ...].

    Rows with a list of any length, such as the scores of an image's findings, have it along their
    last axis; the shorter ones are filled up with NaN.
    """
    widths = [part.shape[-1] for part in parts if part.ndim > 1]
    if len(set(widths)) < 2:
        return np.concatenate(parts)
    return np.concatenate([widened(part, max(widths)) for part in parts])


def widened(rows: Rows, width: int) -> Rows:
    """Returns rows whose last axis is filled up with NaN."""
    missing = [(0, 0)] * (rows.ndim - 1) + [(0, width - rows.shape[-1])]
    return np.pad(rows, missing, constant_values=np.nan)


# ---- checks and sums -------------------------------------------------------------------------


def require(holds: bool, text: str) -> None:
    """Refuses arguments.

    Raises:
        ArgumentError: with the text, unless the condition holds.
    """
    if not holds:
        raise ArgumentError(text)


def require_finite(name: str, prediction: Array) -> None:
    """Refuses predictions that are no numbers.

    Raises:
        ArgumentError: if there are any.
    """
    require(bool(np.all(np.isfinite(prediction))), f"'{name}' has predictions that are no numbers.")


def require_probabilities(name: str, prediction: Array, threshold: float) -> None:
    """Refuses scores that were never made probabilities, which a threshold would judge wrongly.

    Raises:
        ArgumentError: if a threshold between 0 and 1 meets predictions that are not.
    """
    lies = bool(np.all((prediction >= 0) & (prediction <= 1)))
    text = f"'{name}' needs probabilities from 0 to 1: put sigmoid() at the output's end, "
    require(lies or not 0 < threshold < 1, text + "or set threshold=0 for logits.")


def ratio(part: Array | float, whole: Array | float) -> Rows:
    """Divides; NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(part, whole), np.float64)


def mean_of_known(values: Rows) -> float:
    """Returns the mean without what is not determined; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
