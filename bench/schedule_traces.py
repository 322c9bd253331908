"""Writes what PyTorch's schedules give over a run: the golden traces of tests/recipe.

python -m bench.schedule_traces tests/recipe/golden/schedules.json
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

STEPS, EPOCHS = 5, 12  # of an epoch, and of the run
VALUES = [1.0, 0.8, 0.81, 0.8, 0.79999, 0.7, 0.7, 0.71, 0.72, 0.73, 0.74, 0.1]

# The name and arguments in dhc; PyTorch's class and arguments; whether it goes by steps.
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any], bool]] = [
    ("step", {"lr": 0.1, "every": 3, "factor": 0.5}, "StepLR",
     {"step_size": 3, "gamma": 0.5}, False),
    ("multistep", {"lr": 0.1, "at": [2, 7], "factor": 0.2}, "MultiStepLR",
     {"milestones": [2, 7], "gamma": 0.2}, False),
    ("exponential", {"lr": 0.1, "factor": 0.9}, "ExponentialLR", {"gamma": 0.9}, False),
    ("polynomial", {"lr": [0.1, 0.0], "power": 2.0}, "PolynomialLR",
     {"total_iters": STEPS * EPOCHS, "power": 2.0}, True),
    ("cosine", {"lr": [0.1, 0.01]}, "CosineAnnealingLR",
     {"T_max": STEPS * EPOCHS, "eta_min": 0.01}, True),
    ("cosine", {"lr": [0.1, 0.01], "cycle": 2, "grow": 2}, "CosineAnnealingWarmRestarts",
     {"T_0": 2 * STEPS, "T_mult": 2, "eta_min": 0.01}, True),
    ("one_cycle", {"lr": 0.1}, "OneCycleLR",
     {"max_lr": 0.1, "total_steps": STEPS * EPOCHS, "cycle_momentum": False}, True),
    ("plateau", {"lr": 0.1, "patience": 1, "factor": 0.5, "cooldown": 1}, "ReduceLROnPlateau",
     {"patience": 1, "factor": 0.5, "cooldown": 1}, False),
]  # fmt: skip


def trace(name: str, arguments: dict[str, Any], by_steps: bool) -> list[float]:
    """The rate of every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    found = []
    for value in VALUES:
        for _ in range(STEPS):
            found.append(float(optimizer.param_groups[0]["lr"]))
            if by_steps:
                schedule.step()
        if not by_steps:
            schedule.step(value) if name == "ReduceLROnPlateau" else schedule.step()
    return found


def main() -> None:
    """Writes the file that the argument names."""
    warnings.simplefilter("ignore")
    cases = [
        {"name": name, "arguments": own, "rates": trace(torch_name, theirs, by_steps)}
        for name, own, torch_name, theirs, by_steps in CASES
    ]
    content = {"torch": torch.__version__, "steps": STEPS, "values": VALUES, "cases": cases}
    Path(sys.argv[1]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
