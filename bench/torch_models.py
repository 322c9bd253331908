"""The networks of `models/` as PyTorch modules, with weights as trained networks have them.

The classifiers come from torchvision. U-Net and 3D U-Net are written here as models/unet.dhm and
models/unet3d.dhm have them, layer by layer and in the same order.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn


class Double(nn.Sequential):
    """Twice convolution, normalisation and activation; `first` channels between the two."""

    def __init__(self, cin: int, first: int, last: int, axes: int = 2) -> None:
        super().__init__(*_unit(cin, first, axes), *_unit(first, last, axes))


class Up(nn.Module):
    """Enlarges `x`, joins it with what the same level saw on the way down, and convolves both."""

    def __init__(self, cin: int, between: int, skip: int, c: int, axes: int = 2) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d if axes == 2 else nn.ConvTranspose3d
        self.enlarge = transposed(cin, between, 2, stride=2)
        self.join = Double(skip + between, c, c, axes)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.join(torch.cat([skip, self.enlarge(x)], dim=1))
        return result


class UNet(nn.Module):
    """models/unet.dhm."""

    def __init__(self, width: int, classes: int = 1, channels: int = 1) -> None:
        super().__init__()
        c = [width * 2**level for level in range(5)]
        self.pool = nn.MaxPool2d(2)
        self.e1 = Double(channels, c[0], c[0])
        self.e2 = Double(c[0], c[1], c[1])
        self.e3 = Double(c[1], c[2], c[2])
        self.e4 = Double(c[2], c[3], c[3])
        self.mid = Double(c[3], c[4], c[4])
        self.d4 = Up(c[4], c[3], c[3], c[3])
        self.d3 = Up(c[3], c[2], c[2], c[2])
        self.d2 = Up(c[2], c[1], c[1], c[1])
        self.d1 = Up(c[1], c[0], c[0], c[0])
        self.head = nn.Conv2d(c[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        e1 = self.e1(image)
        e2 = self.e2(self.pool(e1))
        e3 = self.e3(self.pool(e2))
        e4 = self.e4(self.pool(e3))
        mid = self.mid(self.pool(e4))
        d2 = self.d2(self.d3(self.d4(mid, e4), e3), e2)
        return torch.sigmoid(self.head(self.d1(d2, e1)))


class UNet3D(nn.Module):
    """models/unet3d.dhm: it doubles the channels before each pooling."""

    def __init__(self, width: int, classes: int = 1, channels: int = 1) -> None:
        super().__init__()
        w = width
        self.pool = nn.MaxPool3d(2)
        self.e1 = Double(channels, w, 2 * w, 3)
        self.e2 = Double(2 * w, 2 * w, 4 * w, 3)
        self.e3 = Double(4 * w, 4 * w, 8 * w, 3)
        self.mid = Double(8 * w, 8 * w, 16 * w, 3)
        self.d3 = Up(16 * w, 16 * w, 8 * w, 8 * w, 3)
        self.d2 = Up(8 * w, 8 * w, 4 * w, 4 * w, 3)
        self.d1 = Up(4 * w, 4 * w, 2 * w, 2 * w, 3)
        self.head = nn.Conv3d(2 * w, classes, 1)

    def forward(self, volume: Tensor) -> Tensor:
        e1 = self.e1(volume)
        e2 = self.e2(self.pool(e1))
        e3 = self.e3(self.pool(e2))
        mid = self.mid(self.pool(e3))
        return torch.sigmoid(self.head(self.d1(self.d2(self.d3(mid, e3), e2), e1)))


def _unit(cin: int, c: int, axes: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    if axes == 2:
        return nn.Conv2d(cin, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()
    return nn.Conv3d(cin, c, 3, padding=1, bias=False), nn.BatchNorm3d(c), nn.ReLU()


def classifier(name: str) -> nn.Module:
    """Returns a network of torchvision, with random weights."""
    made: nn.Module = _torchvision().models.get_model(name, weights=None)
    return made


def resnet18() -> nn.Module:
    """models/resnet.dhm."""
    return classifier("resnet18")


def vgg16(field: int) -> nn.Module:
    """models/vgg.dhm, whose first dense layer sees `field` x `field` places; without dropout."""
    made: Any = _torchvision().models.vgg16(weights=None, dropout=0.0)
    made.avgpool = nn.Identity()
    made.classifier[0] = nn.Linear(512 * field * field, 4096)
    result: nn.Module = made
    return result


def efficientnet_b0() -> nn.Module:
    """models/efficientnet.dhm, without dropout, and without leaving out blocks."""
    made: nn.Module = _torchvision().models.efficientnet_b0(
        weights=None, dropout=0.0, stochastic_depth_prob=0.0
    )
    return made


def settle(module: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Gives normalisations random scales and shifts, and statistics that fit what they get.

    Then every layer's values have the size that they have in trained networks: without this they
    grow or vanish from layer to layer, and errors would say nothing.

    Args:
        module: What to change.
        shape: The shape of its input, without the batch.
    """
    norms = [m for m in module.modules() if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.1)
        norm.momentum = 1.0  # the statistics of one batch replace those before
    with torch.no_grad():
        module.train()(torch.randn(2, *shape))
    return module.eval()


def _torchvision() -> Any:
    """The package. Its compiled part may be for another build of PyTorch; nothing here needs it.

    Without that part the import looks for two operators in vain, so they are declared first.
    """
    try:
        import torchvision  # type: ignore[import-untyped]
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            text = f"torchvision::{name}"
            torch.library.define(text, "(Tensor boxes, Tensor scores, float limit) -> Tensor")
        import torchvision
    return torchvision
