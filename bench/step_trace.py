"""Writes how PyTorch trains a small network for 50 steps: a golden trace of tests/training.

python -m bench.step_trace tests/training/golden/steps.json

Weights and batches come from raw bits of a counter, so they are the same everywhere and need not be
stored. The network has what makes training differ between libraries: convolutions, batch
normalisation with its running statistics, and Adam.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

STEPS, SAMPLES, SIZE, CLASSES = 50, 16, 16, 4
RATE = 3e-3
SHAPES: dict[str, tuple[int, ...]] = {
    "a.conv.weight": (8, 1, 3, 3),
    "a.batchnorm.scale": (8,),
    "a.batchnorm.bias": (8,),
    "b.conv.weight": (12, 8, 3, 3),
    "b.batchnorm.scale": (12,),
    "b.batchnorm.bias": (12,),
    "y.dense.weight": (CLASSES, 48),
    "y.dense.bias": (CLASSES,),
}
STATISTICS = {
    f"{block}.batchnorm.{name}": (start, size)
    for block, size in (("a", 8), ("b", 12))
    for name, start in (("mean", 0.0), ("variance", 1.0))
}


def uniform(key: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers from -1 to 1 in float64, each exact in float32."""
    raw = np.random.Philox(key=key).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(44)).astype(np.float64) / 2**19 - 1).reshape(shape)


def weights() -> dict[str, np.ndarray]:
    """The weights at the beginning, exact in float32."""
    found = {}
    for key, (path, shape) in enumerate(SHAPES.items(), 1):
        around = 1.0 if path.endswith("scale") else 0.0
        found[path] = around + 0.25 * uniform(key, shape)
    return found | {path: np.full(size, start) for path, (start, size) in STATISTICS.items()}


def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose brightest quarter says the class, and the classes."""
    labels = np.random.Philox(key=1000 + step).random_raw(SAMPLES).astype(np.int64) % CLASSES
    images = uniform(2000 + step, (SAMPLES, 1, SIZE, SIZE))
    half = SIZE // 2
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[0, row * half : (row + 1) * half, column * half : (column + 1) * half] += 0.5
    return images, labels


def trace(dtype: str, threads: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """The losses of all steps in PyTorch, and all parameters afterwards."""
    import torch
    from torch.nn import functional as f

    torch.set_num_threads(threads)
    kind = getattr(torch, dtype)
    values = {path: torch.tensor(array, dtype=kind) for path, array in weights().items()}
    trained = [values[path].requires_grad_() for path in SHAPES]
    optimizer = torch.optim.Adam(trained, lr=RATE)

    def unit(x: Any, block: str, stride: int) -> Any:
        norm = [values[f"{block}.batchnorm.{n}"] for n in ("mean", "variance", "scale", "bias")]
        x = f.conv2d(x, values[f"{block}.conv.weight"], stride=stride, padding=1)
        return f.relu(f.batch_norm(x, *norm, training=True, momentum=0.1, eps=1e-5))

    losses = []
    for step in range(1, STEPS + 1):
        images, labels = batch(step)
        x = unit(unit(torch.tensor(images, dtype=kind), "a", 1), "b", 2)
        x = f.avg_pool2d(x, 4).flatten(1)
        x = f.linear(x, values["y.dense.weight"], values["y.dense.bias"])
        loss = f.cross_entropy(x, torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {path: value.detach().numpy() for path, value in values.items()}


def main() -> None:
    """Writes the file that the argument names."""
    import torch

    content: dict[str, Any] = {"torch": torch.__version__}
    for name, dtype, threads in (
        ("f64", "float64", 1),
        ("f32, one thread", "float32", 1),
        ("f32, two threads", "float32", 2),
    ):
        losses, values = trace(dtype, threads)
        content[name] = {
            "losses": losses,
            "parameters": {path: value.ravel().tolist() for path, value in values.items()},
        }
    Path(sys.argv[1]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
