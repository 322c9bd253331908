"""What is checked before a run is compiled: that metrics can take what they are given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dhc.errors import ArgumentError, DhcError, Diagnostic, did_you_mean
from dhc.ir.graph import Array, Node
from dhc.ir.types import Tensor
from dhc.training.settings import TrainSettings


def check_metrics(
    settings: TrainSettings, outputs: Mapping[str, Node], data: Mapping[str, Tensor]
) -> None:
    """Refuses metrics of outputs or data that do not exist or do not fit.

    Raises:
        DhcError: naming the first of them.
    """
    for measured in settings.metrics:
        for name, known, what in (
            (measured.prediction, outputs, "output"),
            (measured.truth, data, "data"),
        ):
            if name not in known:
                guess = did_you_mean(name, known)
                hints = (f"did you mean '{guess}'?",) if guess else ()
                text = f"'{measured.name}' asks for the {what} '{name}'; there is "
                text += f"{', '.join(known)}."
                span = measured.span
                raise DhcError(Diagnostic("unknown-name", text, span, "here", hints=hints))
        prediction = _zeros(outputs[measured.prediction].type)
        try:
            measured.metric.rows(prediction, _zeros(data[measured.truth]))
        except ArgumentError as problem:
            raise DhcError(Diagnostic("data", str(problem), measured.span, "here")) from None


def _zeros(type: Tensor) -> Array:
    """Two samples of a type, by which a metric tells whether it takes such a thing."""
    sizes = [size if isinstance(size, int) else 2 for size in type.shape]
    return np.zeros(sizes, type.dtype.numpy)
