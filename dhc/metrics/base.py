"""What a metric is: a row of numbers for each sample, and a summary of any rows.

Rows of several batches, ranks or runs are put together by concatenation, so the result is exact
over a data set whatever its batches were; an interval is the summary of rows drawn again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from dhc.errors import ArgumentError

Array = NDArray[Any]
Rows = NDArray[np.float64]


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


# ---- checks ----------------------------------------------------------------------------------


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


def ratio(part: Array | float, whole: Array | float) -> Rows:
    """Divides; NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(part, whole), np.float64)
