"""The networks that are measured, and how each is made in all forms with the same weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dhc
from bench.peers import Network, export
from bench.weights import match
from dhc.ir.graph import Array

if TYPE_CHECKING:
    from torch import nn

MODELS = Path(__file__).resolve().parent.parent / "models"
SEED = 0


@dataclass(frozen=True)
class Case:
    """A network to measure.

    Attributes:
        name: Its name in the .dhm file.
        file: The file in models/.
        shape: The shape of its input, without the batch.
        module: Makes it as a PyTorch module.
        settings: Its parameters that are not the defaults.
    """

    name: str
    file: str
    shape: tuple[int, ...]
    module: Callable[[], nn.Module]
    settings: Mapping[str, int] = field(default_factory=dict)


def _classifier(name: str) -> nn.Module:
    from bench.torch_models import classifier

    return classifier(name)


def _unet() -> nn.Module:
    from bench.torch_models import UNet

    return UNet(width=32)


def _unet3d() -> nn.Module:
    from bench.torch_models import UNet3D

    return UNet3D(width=16)


_PHOTOGRAPH = (3, 224, 224)
CASES = (
    Case("ResNet18", "resnet.dhm", _PHOTOGRAPH, partial(_classifier, "resnet18")),
    Case("ResNet50", "resnet.dhm", _PHOTOGRAPH, partial(_classifier, "resnet50")),
    Case("VGG19", "vgg.dhm", _PHOTOGRAPH, partial(_classifier, "vgg19")),
    Case(
        "EfficientNetB0", "efficientnet.dhm", _PHOTOGRAPH, partial(_classifier, "efficientnet_b0")
    ),
    Case("MobileNetV2", "mobilenet.dhm", _PHOTOGRAPH, partial(_classifier, "mobilenet_v2")),
    Case("UNet", "unet.dhm", (1, 256, 256), _unet, {"width": 32}),
    Case("UNet3D", "unet3d.dhm", (1, 64, 64, 64), _unet3d, {"width": 16}),
)


def build(case: Case, image: Array, folder: Path) -> Network:
    """Makes a network in all forms, with the same weights in each.

    Without PyTorch there is dhc's form alone, with weights of its own.
    """
    model = dhc.load(MODELS / case.file).model(case.name, **case.settings)
    shapes = dict(zip(("N", *"DHW"[-len(case.shape) + 1 :]), (1, *case.shape[1:]), strict=True))
    if not modules_exist():
        return Network(case.name, model, shapes)
    module = _module(case)
    model.load_parameters(match(_expected(model), _weights(module)))
    file = folder / f"{case.name}.onnx" if importlib.util.find_spec("onnx") else None
    if file is not None:
        export(module, image, file)
    return Network(case.name, model, shapes, module, file)


def modules_exist() -> bool:
    """Whether the networks can be made as PyTorch modules here."""
    return all(importlib.util.find_spec(name) for name in ("torch", "torchvision"))


def _module(case: Case) -> nn.Module:
    import torch

    from bench.torch_models import settle

    torch.manual_seed(SEED)
    return settle(case.module(), case.shape)


def _expected(model: dhc.Model) -> list[tuple[str, tuple[int, ...]]]:
    return [(param.path, param.type.static_shape) for param in model.graph.params]


def _weights(module: nn.Module) -> list[tuple[str, Array]]:
    """The weights in the order of the layers, without the counters of normalisations."""
    state = module.state_dict().items()
    return [(name, tensor.numpy()) for name, tensor in state if tensor.ndim]
