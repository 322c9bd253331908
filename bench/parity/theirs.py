"""The same experiment by PyTorch, as one writes it: a DataLoader, autograd, fused AdamW."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from bench.parity.networks import network
from bench.parity.ours import Trained
from bench.weights import match
from dhc.frontend import ast
from dhc.ir.graph import Array
from dhc.recipe.average import Ema
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
        zoom, contrast: Between which numbers these factors are.
        brightness: How much lighter or darker they become at most.
    """

    mean: float
    deviation: float
    size: int = 0
    degrees: float = 0
    zoom: tuple[float, float] = (1, 1)
    brightness: float = 0
    contrast: tuple[float, float] = (1, 1)


PREPARATIONS: Mapping[str, Preparation] = {
    "pneumonia": Preparation(0.57, 0.17, 0, 12),
    "brain_mri": Preparation(0.19, 0.18, 96, 12, zoom=(0.9, 1.1), brightness=0.05),
    "histology": Preparation(0.65, 0.2, 96, 180, zoom=(0.9, 1.2), brightness=0.05),
    "skin_lesions": Preparation(
        0.6, 0.2, 64, 180, zoom=(0.8, 1.5), brightness=0.1, contrast=(0.8, 1.25)
    ),
    "lung_patches": Preparation(0.5, 0.25, 0, 180, zoom=(0.7, 2.0), brightness=0.1),
}


class Images(Dataset[dict[str, Tensor]]):
    """Samples of a part, resized, turned, mirrored and normalised.

    What moves pixels interpolates once, as in a pipeline: images that were made smaller first and
    turned then would be more blurred than those that are measured.

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
        found["image"] = found["image"].float() / scale
        if "mask" in found:
            found["mask"] = (found["mask"] > 0).float()
        if self._varied:
            found |= self._vary(found)
        elif self._own.size:
            found["image"] = functional.interpolate(
                found["image"][None], self._size(found), mode="bilinear", antialias=False
            )[0]
        found["image"] = (found["image"] - self._own.mean) / self._own.deviation
        return found

    def _size(self, found: Mapping[str, Tensor]) -> list[int]:
        own = self._own.size
        return [own, own] if own else list(found["image"].shape[1:])

    def _vary(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = self._own
        angle = math.radians(_drawn(-own.degrees, own.degrees))
        side, zoom = 1.0 if torch.rand(1) < 0.5 else -1.0, 1 / _drawn(*own.zoom)
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        matrix = torch.tensor([[[side * cos, -sin, 0], [side * sin, cos, 0]]])
        grid = functional.affine_grid(matrix, [1, 1, *self._size(found)], align_corners=False)
        made = {}
        for name, mode in (("image", "bilinear"), ("mask", "nearest")):
            if name in found:
                whole = found[name][None]
                made[name] = functional.grid_sample(whole, grid, mode=mode, align_corners=False)[0]
        made["image"] = self._lit(made["image"])
        return made

    def _lit(self, image: Tensor) -> Tensor:
        own = self._own
        image = image + _drawn(-own.brightness, own.brightness)
        return (image - 0.5) * _drawn(*own.contrast) + 0.5


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
    average = _average(module, settings.average)
    used = average.module if average else module
    best, kept, monitor = -math.inf, used.state_dict(), settings.stop.monitor
    for epoch in range(settings.epochs):
        _epoch(module, adam, average, settings, parts["train"], epoch)
        metric = next(m.metric for m in settings.metrics if m.name == monitor)
        value = metric.value(metric.rows(*_compared(used, settings, parts["val"])))
        if value > best:
            best, kept = value, {k: v.clone() for k, v in used.state_dict().items()}
    used.load_state_dict(kept)
    compared = _compared(used, settings, parts["test"])
    return Trained(time.perf_counter() - began, *compared, dict(start))


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


def _average(module: nn.Module, ema: Ema | None) -> AveragedModel | None:
    """The moving average of parameters and running statistics, if the recipe has one."""
    if ema is None:
        return None

    def move(averages: list[Tensor], values: list[Tensor], count: int | Tensor) -> None:
        share = ema.share(int(count) + 1)
        for average, value in zip(averages, values, strict=True):
            average.lerp_(value, share) if average.is_floating_point() else average.copy_(value)

    return AveragedModel(module, multi_avg_fn=move, use_buffers=True)


def _epoch(
    module: nn.Module,
    adam: torch.optim.Optimizer,
    average: AveragedModel | None,
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
        _loss(settings, module(_image(batch)), batch).backward()
        adam.step()
        if average is not None:
            average.update_parameters(module)


def _image(batch: Mapping[str, Tensor]) -> Tensor:
    return batch["image"].contiguous(memory_format=torch.channels_last)


def _loss(settings: TrainSettings, result: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    if "mask" not in batch:
        smoothing = _smoothing(settings)
        return functional.cross_entropy(result, batch["label"], label_smoothing=smoothing)
    p, t = result, batch["mask"]
    both, predicted, real = ((x).sum((2, 3)) for x in (p * t, p, t))
    return (1 - (2 * both + 1) / (predicted + real + 1)).mean()


def _smoothing(settings: TrainSettings) -> float:
    """The share of the truth that the loss of a train block spreads over all classes."""
    (loss,) = settings.configured.expressions["loss"]
    assert isinstance(loss, ast.Call)
    for each in loss.arguments:
        if each.name is not None and each.name.text == "label_smoothing":
            assert isinstance(each.value, ast.Number)
            return float(each.value.value)
    return 0.0


def _compared(
    module: nn.Module, settings: TrainSettings, loader: DataLoader[dict[str, Tensor]]
) -> tuple[Array, Array]:
    """What metrics compare, for all samples of a part."""
    module.eval()
    truth, found = settings.metrics[0].truth, []
    with torch.inference_mode():
        for batch in loader:
            found.append((module(_image(batch)).numpy(), batch[truth].numpy()))
    predictions, truths = zip(*found, strict=True)
    return np.concatenate(predictions), np.concatenate(truths)
