"""The same experiment by PyTorch, as one writes it: a DataLoader, autograd, fused AdamW."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from bench.parity.networks import network
from bench.parity.ours import Trained
from bench.weights import match
from dhc.ir.graph import Array
from dhc.metrics.base import join_rows
from dhc.recipe.schedules import Progress
from dhc.runtime.data.dataset import DataSet, Sample
from dhc.training.settings import TrainSettings

WORKERS = 2


@dataclass(frozen=True)
class Preparation:
    """What becomes of images, as the pipelines of `experiments.dhm` say.

    Attributes:
        mean, deviation: Of pixels in training.
        size: What images are resized to; 0 keeps their size.
        degrees: They are turned by at most so many, either way.
        zoom, brightness: Between which numbers they are enlarged, and how much they are lit.
    """

    mean: float
    deviation: float
    size: int = 0
    degrees: float = 0
    zoom: tuple[float, float] = (1, 1)
    brightness: float = 0


PREPARATIONS: Mapping[str, Preparation] = {
    "pneumonia": Preparation(0.57, 0.17, 0, 12),
    "brain_mri": Preparation(0.19, 0.18, 64, 12, zoom=(0.9, 1.1), brightness=0.05),
    "histology": Preparation(0.65, 0.2, 96, 180, zoom=(0.9, 1.2), brightness=0.05),
    "skin_lesions": Preparation(0.6, 0.2, 64, 180, zoom=(0.8, 1.25), brightness=0.1),
    "lung_patches": Preparation(0.5, 0.25, 0, 180, zoom=(0.8, 1.25), brightness=0.1),
}


class Images(Dataset[dict[str, Tensor]]):
    """Samples of a part, resized, turned, mirrored and normalised.

    Args:
        name: Of the experiment.
        samples: What is read.
        varied: Whether they are turned and mirrored.
    """

    def __init__(self, name: str, samples: tuple[Sample, ...], varied: bool) -> None:
        self._own = PREPARATIONS[name]
        self._samples = samples
        self._varied = varied

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        found = {n: torch.from_numpy(np.array(a)) for n, a in self._samples[number].read().items()}
        scale = 255 if found["image"].dtype == torch.uint8 else 1
        found["image"] = self._moved(found["image"].float() / scale, "bilinear")
        if "mask" in found:
            found["mask"] = (found["mask"] > 0).float()
        if self._varied:
            found |= self._vary(found)
        found["image"] = (found["image"] - self._own.mean) / self._own.deviation
        return found

    def _moved(self, image: Tensor, mode: str) -> Tensor:
        if not self._own.size:
            return image
        size = (self._own.size, self._own.size)
        return functional.interpolate(image[None], size, mode=mode, antialias=False)[0]

    def _vary(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = self._own
        angle = math.radians(_drawn(-own.degrees, own.degrees))
        side, zoom = 1.0 if torch.rand(1) < 0.5 else -1.0, 1 / _drawn(*own.zoom)
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        matrix = torch.tensor([[[side * cos, -sin, 0], [side * sin, cos, 0]]])
        shape = (1, 1, *found["image"].shape[1:])
        grid = functional.affine_grid(matrix, list(shape), align_corners=False)
        made = {}
        for name, mode in (("image", "bilinear"), ("mask", "nearest")):
            if name in found:
                whole = found[name][None]
                made[name] = functional.grid_sample(whole, grid, mode=mode, align_corners=False)[0]
        made["image"] += _drawn(-own.brightness, own.brightness)
        return made


def _drawn(low: float, high: float) -> float:
    return float(torch.empty(1).uniform_(low, high))


def train(
    settings: TrainSettings, dataset: DataSet, start: Mapping[str, Array], threads: int
) -> Trained:
    """Trains from the given parameters, with the recipe of a train block."""
    torch.set_num_threads(threads)
    torch.manual_seed(settings.seed)
    began = time.perf_counter()
    module = _with_start(network(settings), start).to(memory_format=torch.channels_last)
    optimizer: Any = settings.optimizer
    adam = torch.optim.AdamW(
        module.parameters(), lr=1e-3, weight_decay=optimizer.weight_decay, eps=optimizer.eps,
        fused=True,
    )  # fmt: skip
    parts = {name: _loader(settings, dataset, name) for name in ("train", "val", "test")}
    best, kept, monitor = -math.inf, module.state_dict(), settings.stop.monitor
    for epoch in range(settings.epochs):
        _epoch(module, adam, settings, parts["train"], epoch)
        rows = _measure(module, settings, parts["val"])
        metric = next(m.metric for m in settings.metrics if m.name == monitor)
        value = metric.value(rows[monitor])
        if value > best:
            best, kept = value, {k: v.clone() for k, v in module.state_dict().items()}
    module.load_state_dict(kept)
    rows = _measure(module, settings, parts["test"])
    return Trained(time.perf_counter() - began, rows, dict(start))


def _loader(settings: TrainSettings, dataset: DataSet, part: str) -> DataLoader[dict[str, Tensor]]:
    images = Images(settings.name, dataset.parts[part], part == "train")
    return DataLoader(
        images, settings.batch, shuffle=part == "train", num_workers=WORKERS,
        persistent_workers=True,
    )  # fmt: skip


def _with_start(module: nn.Module, start: Mapping[str, Array]) -> nn.Module:
    """Gives a module the parameters that dhc began with."""
    own = [(name, tuple(t.shape)) for name, t in module.state_dict().items() if t.ndim]
    values = match(own, list(start.items()))
    module.load_state_dict({n: torch.from_numpy(v.copy()) for n, v in values.items()}, strict=False)
    return module


def _epoch(
    module: nn.Module,
    adam: torch.optim.Optimizer,
    settings: TrainSettings,
    loader: DataLoader[dict[str, Tensor]],
    epoch: int,
) -> None:
    module.train()
    for number, batch in enumerate(loader):
        place = Progress(epoch * len(loader) + number, len(loader), settings.epochs)
        for group in adam.param_groups:
            group["lr"] = settings.schedule.rate(place, {})
        adam.zero_grad(set_to_none=True)
        _loss(module(_image(batch)), batch).backward()
        adam.step()


def _image(batch: Mapping[str, Tensor]) -> Tensor:
    return batch["image"].contiguous(memory_format=torch.channels_last)


def _loss(result: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    if "mask" not in batch:
        return functional.cross_entropy(result, batch["label"])
    p, t = result, batch["mask"]
    both, predicted, real = ((x).sum((2, 3)) for x in (p * t, p, t))
    return (1 - (2 * both + 1) / (predicted + real + 1)).mean()


def _measure(
    module: nn.Module, settings: TrainSettings, loader: DataLoader[dict[str, Tensor]]
) -> dict[str, Array]:
    module.eval()
    found: dict[str, list[Array]] = {m.name: [] for m in settings.metrics}
    for truth, result in _results(module, loader):
        for m in settings.metrics:
            found[m.name].append(m.metric.rows(result, truth[m.truth]))
    return {name: join_rows(rows) for name, rows in found.items()}


def _results(
    module: nn.Module, loader: DataLoader[dict[str, Tensor]]
) -> Iterator[tuple[dict[str, Array], Array]]:
    with torch.inference_mode():
        for batch in loader:
            yield {n: t.numpy() for n, t in batch.items()}, module(_image(batch)).numpy()
