"""Writes what losses and their gradients are in PyTorch: the golden values of tests/ops.

Where PyTorch has no such loss, the formula of the paper is written out with its functions, and
differentiated by it.

python -m bench.loss_values tests/ops/golden/losses.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  (its usual name)

RANDOM = np.random.default_rng(11)
Loss = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A loss in dhc, its inputs by name, and the same in PyTorch; the first input is trained."""

    text: str
    inputs: dict[str, np.ndarray]
    loss: Loss


def logits(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 2, shape).round(3)


def probabilities(*shape: int) -> np.ndarray:
    return RANDOM.uniform(0.02, 0.98, shape).round(3)


def mask(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 2, shape).astype(np.float64)


def numbers(classes: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, classes, shape)


def one_hot(classes: int, *shape: int) -> np.ndarray:
    return np.moveaxis(np.eye(classes)[numbers(classes, *shape)], -1, 1)


def shares(*shape: int) -> np.ndarray:
    """Distributions over axis 1 in which one class of the first sample is impossible."""
    found = RANDOM.uniform(0.1, 1, shape)
    found[0, 0] = 0
    return found / found.sum(1, keepdims=True)


# ---- formulas that PyTorch has not ---------------------------------------------------------------


def sums(p: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    p, t = p.flatten(2), t.flatten(2)
    return (p * t).sum(2), p.sum(2), t.sum(2)


def dice(p: Tensor, t: Tensor) -> Tensor:
    both, found, real = sums(p, t)
    return (1 - (2 * both + 1) / (found + real + 1)).mean()


def generalised_dice(p: Tensor, t: Tensor) -> Tensor:
    both, found, real = sums(p, t)
    total = []
    for n in range(len(p)):
        present = real[n] > 0
        own = 1 / real[n].clamp(min=1) ** 2
        largest = own[present].max() if present.any() else torch.tensor(1.0)
        weight = torch.where(present, own / largest, torch.tensor(1.0))
        areas = (weight * (found[n] + real[n])).sum()
        total.append(1 - (2 * (weight * both[n]).sum() + 1) / (areas + 1))
    return torch.stack(total).mean()


def jaccard(p: Tensor, t: Tensor) -> Tensor:
    both, found, real = sums(p, t)
    return (1 - (both + 1) / (found + real - both + 1)).mean()


def tversky(p: Tensor, t: Tensor, power: float = 1.0) -> Tensor:
    both, found, real = sums(p, t)
    index = (both + 1) / (both + 0.3 * (found - both) + 0.7 * (real - both) + 1)
    return ((1 - index) ** power).mean()


def focal(x: Tensor, t: Tensor) -> Tensor:
    p = torch.sigmoid(x)
    right = p * t + (1 - p) * (1 - t)
    balance = 0.3 * t + 0.7 * (1 - t)
    each = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    return (balance * (1 - right) ** 1.5 * each).mean()


def focal_classes(x: Tensor, t: Tensor) -> Tensor:
    right = torch.softmax(x, 1).gather(1, t[:, None])[:, 0]
    return (-((1 - right) ** 2) * right.log()).mean()


def lovasz(errors: Tensor, truth: Tensor) -> Tensor:
    """The extension for one set of errors, as the paper's algorithm 1 has it."""
    found, order = torch.sort(errors, descending=True)
    sorted_truth = truth[order]
    total = sorted_truth.sum()
    union = total + (1 - sorted_truth).cumsum(0)
    loss = 1 - (total - sorted_truth.cumsum(0)) / union
    weights = torch.cat([loss[:1], loss[1:] - loss[:-1]])
    return (found * weights).sum()


def lovasz_hinge(x: Tensor, t: Tensor) -> Tensor:
    each = [
        lovasz(F.relu(1 - a.flatten() * (2 * b.flatten() - 1)), b.flatten())
        for a, b in zip(x, t, strict=True)
    ]
    return torch.stack(each).mean()


def lovasz_softmax(p: Tensor, t: Tensor) -> Tensor:
    total = []
    for a, b in zip(p, t, strict=True):
        classes = [c for c in range(len(b)) if b[c].max() > 0]
        each = [lovasz((b[c] - a[c]).abs().flatten(), b[c].flatten()) for c in classes]
        total.append(torch.stack(each).mean())
    return torch.stack(total).mean()


def ctc(x: Tensor, t: Tensor, steps: Tensor, counts: Tensor, blank: int = 0) -> Tensor:
    log_p = torch.log_softmax(x, 2).transpose(0, 1)
    each = F.ctc_loss(log_p, t, steps, counts, blank, reduction="none", zero_infinity=True)
    return each.mean()


def kl(x: Tensor, t: Tensor) -> Tensor:
    return F.kl_div(torch.log_softmax(x, 1), t, reduction="none").sum(1).mean()


def hinge(x: Tensor, t: Tensor) -> Tensor:
    return F.relu(1 - x * (2 * t - 1)).mean()


# ---- cases -------------------------------------------------------------------------------------

WEIGHTS = [0.5, 2.0, 1.0, 3.0]


def cases() -> list[Case]:
    """Returns all cases; their order decides the numbers."""
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    plain = {"x": logits(5, 3), "t": logits(5, 3)}
    classes = {"x": logits(6, 4), "t": numbers(4, 6)}
    pixels = {"x": logits(2, 4, 3, 5), "t": numbers(4, 2, 3, 5)}
    soft = {"x": logits(6, 4), "t": shares(6, 4)}
    binary = {"x": logits(5, 3), "t": mask(5, 3)}
    image = {"p": probabilities(3, 2, 4, 5), "t": mask(3, 2, 4, 5)}
    volume = {"p": probabilities(2, 1, 3, 4, 2), "t": mask(2, 1, 3, 4, 2)}
    volume["t"][0] = 0
    hot = {"p": shares(3, 3, 3, 4), "t": one_hot(3, 3, 3, 4)}
    rows = {
        "x": logits(3, 7, 5),
        "t": numbers(4, 3, 3) + 1,
        "steps": np.array([7, 5, 2]),
        "counts": np.array([3, 2, 3]),
    }
    last = {**rows, "t": rows["t"] - 1}
    list_of_weights = f"[{', '.join(map(str, WEIGHTS))}]"
    return [
        Case("mse(x, t)", plain, F.mse_loss),
        Case("mae(x, t)", plain, F.l1_loss),
        Case("huber(x, t, delta=0.7)", plain, lambda x, t: F.huber_loss(x, t, delta=0.7)),
        Case("cross_entropy(x, t)", classes, F.cross_entropy),
        Case("cross_entropy(x, t)", pixels, F.cross_entropy),
        Case("cross_entropy(x, t)", soft, F.cross_entropy),
        Case(f"cross_entropy(x, t, weights={list_of_weights})", pixels,
             lambda x, t: F.cross_entropy(x, t, weights)),
        Case(f"cross_entropy(x, t, weights={list_of_weights})", soft,
             lambda x, t: F.cross_entropy(x, t, weights)),
        Case("cross_entropy(x, t, label_smoothing=0.1)", classes,
             lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1)),
        Case("cross_entropy(x, t, label_smoothing=0.1)", soft,
             lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1)),
        Case("cross_entropy(x, t, ignore_index=2)", pixels,
             lambda x, t: F.cross_entropy(x, t, ignore_index=2)),
        Case(f"cross_entropy(x, t, weights={list_of_weights}, label_smoothing=0.2, ignore_index=1)",
             pixels, lambda x, t: F.cross_entropy(x, t, weights, ignore_index=1,
                                                  label_smoothing=0.2)),
        Case("binary_cross_entropy(x, t)", binary, F.binary_cross_entropy_with_logits),
        Case("binary_cross_entropy(x, t, pos_weight=2.5)", binary,
             lambda x, t: F.binary_cross_entropy_with_logits(
                 x, t, pos_weight=torch.tensor(2.5, dtype=torch.float64))),
        Case("binary_cross_entropy(p, t, prediction=probabilities)", image, F.binary_cross_entropy),
        Case("hinge(x, t)", binary, hinge),
        Case("kl_loss(x, t)", soft, kl),
        Case("brier_loss(p, t)", image, F.mse_loss),
        Case("focal_loss(x, t, gamma=1.5, alpha=0.3)", binary, focal),
        Case("focal_cross_entropy_loss(x, t)", pixels, focal_classes),
        Case("ctc(x, t, steps, counts, zero_infinity=true)", rows, ctc),
        Case("ctc(x, t, steps, counts, blank=4, zero_infinity=true)", last,
             lambda *inputs: ctc(*inputs, blank=4)),
        *[Case(f"{name}_loss({'p, t'}{more})", data, loss)
          for data in (image, volume, hot)
          for name, more, loss in (
              ("dice", "", dice), ("generalised_dice", "", generalised_dice),
              ("jaccard", "", jaccard), ("tversky", "", tversky),
              ("focal_tversky", ", gamma=0.6", lambda p, t: tversky(p, t, 0.6)))],
        Case("lovasz_hinge_loss(x, t)", {"x": logits(3, 1, 4, 5), "t": mask(3, 1, 4, 5)},
             lovasz_hinge),
        Case("lovasz_hinge_loss(x, t)", {"x": logits(2, 1, 3, 2, 4), "t": mask(2, 1, 3, 2, 4)},
             lovasz_hinge),
        Case("lovasz_softmax_loss(p, t)", hot, lovasz_softmax),
    ]  # fmt: skip


def measured(case: Case) -> dict[str, object]:
    """Returns the mean loss of a case and its gradient for the first input."""
    inputs = [torch.tensor(array) for array in case.inputs.values()]
    first = inputs[0].requires_grad_()
    loss = case.loss(*inputs)
    (slope,) = torch.autograd.grad(loss, first)
    given = {
        name: {
            "shape": array.shape,
            "whole": array.dtype.kind == "i",
            "values": array.ravel().tolist(),
        }
        for name, array in case.inputs.items()
    }
    return {
        "loss": case.text, "inputs": given, "value": loss.item(), "slope": slope.ravel().tolist(),
    }  # fmt: skip


def main() -> None:
    """Writes the file that the argument names."""
    content = {"torch": torch.__version__, "cases": [measured(case) for case in cases()]}
    Path(sys.argv[1]).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
