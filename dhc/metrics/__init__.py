"""Metrics: how good predictions are, exact over a whole data set."""

from dhc.metrics import (
    agreement,
    classification,
    detection,
    images,
    ranking,
    regression,
    segmentation,
    text,
)
from dhc.metrics.base import METRICS, Metric, join_rows
from dhc.metrics.bootstrap import INTERVALS, Bootstrap, Interval, interval

__all__ = [
    "INTERVALS",
    "METRICS",
    "Bootstrap",
    "Interval",
    "Metric",
    "agreement",
    "classification",
    "detection",
    "images",
    "interval",
    "join_rows",
    "ranking",
    "regression",
    "segmentation",
    "text",
]
