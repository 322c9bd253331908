"""The networks of experiments.dhm as PyTorch modules, their layers in the same order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dhc.training.settings import TrainSettings


def network(settings: TrainSettings) -> nn.Module:
    """Returns the network of a train block."""
    given = {each.name or "": each.value for each in settings.model.arguments}
    numbers = {name: value for name, value in given.items() if isinstance(value, int)}
    return NETWORKS[settings.model.callee.name](**numbers)


def _unit(cin: int, c: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(cin, c, 3, stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(c), nn.ReLU(inplace=True)]


def _pair(cin: int, c: int) -> nn.Sequential:
    return nn.Sequential(*_unit(cin, c), *_unit(c, c))


def _levels(width: int, levels: int) -> list[nn.Module]:
    """All levels but the first."""
    found: list[nn.Module] = []
    for level in range(1, levels):
        c = width * 2**level
        found += [nn.MaxPool2d(2), _pair(c // 2, c)]
    return found


def _head(width: int, classes: int, levels: int) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(0.3), nn.Linear(width * 2 ** (levels - 1), classes))


class Classifier(nn.Module):
    """Pairs of convolutions, each level half as wide and twice as deep."""

    def __init__(
        self, classes: int = 2, width: int = 32, channels: int = 1, levels: int = 3
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(_pair(channels, width), *_levels(width, levels))
        self.head = _head(width, classes, levels)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.head(self.layers(image).mean((2, 3)))
        return result


class Halved(nn.Module):
    """The same with half the places from the first layer on."""

    def __init__(
        self, classes: int = 2, width: int = 24, channels: int = 1, levels: int = 4
    ) -> None:
        super().__init__()
        first = _unit(channels, width, stride=2)
        layers = [nn.Sequential(*first, *_unit(width, width)), *_levels(width, levels)]
        self.layers = nn.Sequential(*layers)
        self.head = _head(width, classes, levels)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.head(self.layers(image).mean((2, 3)))
        return result


class _Up(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.join = _pair(2 * c, c)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.join(torch.cat([skip, self.enlarge(x)], dim=1))
        return result


class Segmenter(nn.Module):
    """A U-Net of two levels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.e1 = _pair(1, width)
        self.e2 = _pair(width, 2 * width)
        self.mid = _pair(2 * width, 4 * width)
        self.d2, self.d1 = _Up(2 * width), _Up(width)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        e1 = self.e1(image)
        e2 = self.e2(self.pool(e1))
        mid = self.mid(self.pool(e2))
        return torch.sigmoid(self.head(self.d1(self.d2(mid, e2), e1)))


NETWORKS = {"Classifier": Classifier, "Halved": Halved, "Segmenter": Segmenter}
