"""Metrics: how good predictions are, exact over a whole data set."""

from dhc.metrics import classification, ranking, regression, segmentation
from dhc.metrics.base import METRICS, Metric
from dhc.metrics.bootstrap import Interval, interval

__all__ = [
    "METRICS",
    "Interval",
    "Metric",
    "classification",
    "interval",
    "ranking",
    "regression",
    "segmentation",
]
