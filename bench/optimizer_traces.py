"""Writes what PyTorch's optimizers do in 20 steps: the golden traces of tests/recipe.

python -m bench.optimizer_traces tests/recipe/golden/optimizers.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

STEPS, SIZE = 20, 7

# The name and arguments in dhc, then PyTorch's class and arguments.
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("sgd", {"lr": 0.1}, "SGD", {"lr": 0.1}),
    ("sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, "SGD",
     {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "nesterov": True}, "SGD",
     {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    ("sgd", {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}, "SGD",
     {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}),
    ("adam", {"lr": 0.02}, "Adam", {"lr": 0.02}),
    ("adam", {"lr": 0.02, "beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.1}, "Adam",
     {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    ("adam", {"lr": 0.02, "amsgrad": True}, "Adam", {"lr": 0.02, "amsgrad": True}),
    ("adamw", {"lr": 0.02, "weight_decay": 0.2}, "AdamW", {"lr": 0.02, "weight_decay": 0.2}),
    ("adamw", {"lr": 0.02, "amsgrad": True}, "AdamW", {"lr": 0.02, "amsgrad": True}),
    ("nadam", {"lr": 0.02}, "NAdam", {"lr": 0.02}),
    ("nadam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.01}, "NAdam",
     {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.01}),
    ("adamax", {"lr": 0.02}, "Adamax", {"lr": 0.02}),
    ("adamax", {"lr": 0.02, "weight_decay": 0.1}, "Adamax", {"lr": 0.02, "weight_decay": 0.1}),
    ("rmsprop", {"lr": 0.02}, "RMSprop", {"lr": 0.02}),
    ("rmsprop", {"lr": 0.02, "rho": 0.9, "momentum": 0.7, "centered": True, "weight_decay": 0.1},
     "RMSprop",
     {"lr": 0.02, "alpha": 0.9, "momentum": 0.7, "centered": True, "weight_decay": 0.1}),
    ("adagrad", {"lr": 0.1}, "Adagrad", {"lr": 0.1}),
    ("adagrad", {"lr": 0.1, "lr_decay": 0.05, "initial": 0.3, "weight_decay": 0.1}, "Adagrad",
     {"lr": 0.1, "lr_decay": 0.05, "initial_accumulator_value": 0.3, "weight_decay": 0.1}),
    ("adadelta", {"lr": 1.0}, "Adadelta", {"lr": 1.0}),
    ("adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}, "Adadelta",
     {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
]  # fmt: skip


def gradients() -> np.ndarray:
    """The gradients of all steps; some are exactly 0."""
    found = np.random.default_rng(5).normal(size=(STEPS, SIZE))
    found[:, 0] = 0
    return found.round(3)


def trace(name: str, arguments: dict[str, Any]) -> list[float]:
    """The parameter after all steps of one of PyTorch's optimizers."""
    value = torch.tensor(np.linspace(-1, 1, SIZE), dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([value], **arguments)
    for gradient in gradients():
        value.grad = torch.tensor(gradient)
        optimizer.step()
    return value.detach().tolist()


def main() -> None:
    """Writes the file that the argument names."""
    cases = [
        {"name": name, "arguments": arguments, "value": trace(torch_name, torch_arguments)}
        for name, arguments, torch_name, torch_arguments in CASES
    ]
    content = {"torch": torch.__version__, "gradients": gradients().tolist(), "cases": cases}
    Path(sys.argv[1]).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
