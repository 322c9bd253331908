"""Moving averages of weights: often better than the last weights, and always steadier."""

from __future__ import annotations

from dataclasses import dataclass

from dhc.errors import ArgumentError


@dataclass(frozen=True)
class Ema:
    """An exponential moving average (Polyak and Juditsky, 1992), over updates.

    It begins at the first weights. So that it does not hang on them, early updates count more: at
    update t it keeps `min(decay, (1 + t) / (10 + t))` of itself, as TensorFlow's does.

    Attributes:
        decay: What it keeps of itself at each update in the end.
        warmup: Whether early updates count more.
    """

    decay: float = 0.999
    warmup: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ArgumentError("'ema' needs 'decay' of at least 0 and below 1.")

    def share(self, step: int) -> float:
        """Returns what the weights after update `step`, counted from 1, have of the average."""
        early = (1 + step) / (10 + step)
        return 1 - (min(self.decay, early) if self.warmup else self.decay)


AVERAGES: dict[str, type[Ema]] = {"ema": Ema}
