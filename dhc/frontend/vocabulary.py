"""Functions and settings that describe an experiment rather than compute.

Each stub gives the parameters, their types and defaults of one function of the language; calling it
in a file makes a `Record` that the trainer, the data loader or the driver reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from dhc.frontend.values import Quantity, Record, Reference
from dhc.metrics import INTERVALS
from dhc.metrics import METRICS as METRIC_CLASSES
from dhc.recipe.average import AVERAGES
from dhc.recipe.clip import CLIPS
from dhc.recipe.constraints import CONSTRAINTS
from dhc.recipe.initializers import INITIALIZERS
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.recipe.penalties import PENALTIES
from dhc.recipe.schedules import SCHEDULES

Stub = Callable[..., object]
Rate = float | Record
Precision = Literal["f64", "f32", "f32x3", "bf16", "f16", "int8"]

FUNCTIONS: dict[str, Stub] = {}


def _function(stub: Stub) -> Stub:
    FUNCTIONS[stub.__name__] = stub
    return stub


# ---- the recipe of a training: each function is described where it is defined

for _registry in (
    OPTIMIZERS, SCHEDULES, CLIPS, AVERAGES, PENALTIES, CONSTRAINTS, INITIALIZERS,
):  # fmt: skip
    FUNCTIONS.update(_registry)


# ---- data


@_function
def dataset(
    path: str,
    train: object = None,
    val: object = None,
    test: object = None,
    workers: int = 0,
    balance: bool = False,
    cache: Quantity | int | None = None,
) -> None:
    """A data set: a file, a folder or `phantom:NAME`, with a pipeline for each part.

    So many bytes of decoded files stay in memory, 1 GB if `cache` does not say otherwise.
    """


@_function
def kfold(
    k: int, group: Reference | None = None, stratify: Reference | None = None, seed: int = 0
) -> None:
    """Cross-validation in `k` parts; a group is never split."""


@_function
def by(column: Reference) -> None:
    """A split that keeps equal values of a column together."""


# ---- training


@_function
def early_stopping(
    patience: int = 10, monitor: Reference | None = None, min_delta: float = 0.0
) -> None:
    """Stops when the monitored value no longer improves."""


@_function
def data_parallel(buckets: int = 25, compress: Literal["none", "bf16", "f16"] = "none") -> None:
    """Synchronous training: every rank has the model and part of each batch.

    Gradients travel in buckets of so many MiB.
    """


@_function
def local_sgd(every: int = 16) -> None:
    """Ranks train apart and average their weights every so many steps."""


@_function
def ring() -> None:
    """All-reduce in a ring."""


@_function
def tree() -> None:
    """All-reduce in a tree."""


# ---- targets


@_function
def int8(
    calibrate: int = 128,
    per: Literal["channel", "tensor"] = "channel",
    max_drop: float | None = None,
    observer: Literal["minmax", "percentile", "entropy"] = "minmax",
) -> None:
    """Eight-bit integers, calibrated on so many images."""


# ---- metrics: functions of the output and the truth, counted over a whole part of the data

METRICS: Mapping[str, Stub] = METRIC_CLASSES
FUNCTIONS.update(INTERVALS)


# ---- studies


@_function
def ensemble(top: int = 1, by: Reference | None = None) -> None:
    """The mean of the best candidates."""


@_function
def best() -> None:
    """The best candidate alone."""


# ---- applications


@_function
def dicom_series(modality: str = "", description: str = "") -> None:
    """A series of DICOM files."""


@_function
def dicom_image(modality: str = "") -> None:
    """One DICOM file."""


@_function
def nifti() -> None:
    """A NIfTI file."""


@_function
def image_file() -> None:
    """A PNG, JPEG or TIFF file."""


@_function
def sliding(
    model: object,
    weights: Reference | str | None = None,
    patch: tuple[int, ...] = (),
    overlap: float = 0.5,
    blend: Literal["gaussian", "constant"] = "gaussian",
) -> None:
    """A model applied to overlapping patches."""


@_function
def infer(model: object, weights: Reference | str | None = None) -> None:
    """A model applied to the whole image."""


@_function
def threshold(level: float = 0.5) -> None:
    """1 where the value is above the level."""


@_function
def components(min: Quantity | float = 0.0, keep: int = 0) -> None:
    """Connected components; those below a size are dropped, and only the largest `keep` stay."""


@_function
def fill_holes() -> None:
    """Fills holes of a mask."""


@_function
def argmax() -> None:
    """The class with the largest value."""


@_function
def restore(like: Reference) -> None:
    """Back to the grid of an input."""


@_function
def dicom_seg(label: str = "", labels: tuple[str, ...] = ()) -> None:
    """A DICOM segmentation object."""


@_function
def report(title: str = "", top: int = 3) -> None:
    """A text with the findings."""


# ---- settings of each kind of configuration: name and type

Section = dict[str, object]

TRAIN: dict[str, object] = {
    "model": "model",
    "data": Record,
    "loss": "expression",
    "metrics": "metrics",
    "intervals": Record,
    "optimizer": Record,
    "epochs": int,
    "batch": int,
    "precision": Precision,
    "seed": int,
    "weights": str | Reference,
    "init": str | Reference,
    "freeze": tuple[str, ...],
    "rename": tuple[tuple[str, ...], ...],
    "folds": int | Record,
    "stop": Record,
    "accumulate": int,
    "clip": float | Record,
    "average": Record,
    "initializers": Record | tuple[Record, ...],
    "penalty": Record | tuple[Record, ...],
    "constraint": Record | tuple[Record, ...],
    "checkpoint": int,
    "memory": Quantity | int,
    "target": str | Reference,
    "distribute": {
        "mode": Record,
        "sync_batchnorm": bool,
        "workers": int,
        "allreduce": Record,
    },
}
TARGET: dict[str, object] = {
    "backend": Record,
    "precision": Precision,
    "quantize": Record,
    "threads": int,
}
STUDY: dict[str, object] = {
    "candidates": "names",
    "split": Record,
    "folds": int | Record,
    "select": "expression",
    "final": Record,
    "seed": int,
}
SETTINGS = {"train": TRAIN, "target": TARGET, "study": STUDY}
REQUIRED_SETTINGS = {
    "train": ("model", "data", "loss", "optimizer"),
    "target": ("backend",),
    "study": ("candidates",),
}
