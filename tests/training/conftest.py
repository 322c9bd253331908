"""A small task that can be learnt in seconds: is the image striped along or across?"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.frontend import load_text
from dhc.runtime.comm.base import Communicator
from dhc.training.run import Run, open_run

STRIPES = """
pipeline plain(image: image[1]) { to_float() normalize(mean=0.5, std=0.3) }
pipeline varied(image: image[1]) { to_float() rotate(-10deg .. 10deg) normalize(mean=0.5, std=0.3) }

model Net() {
    input image: f32[N, 1, H, W]
    output logits = image -> conv(8, kernel=3, pad=1, bias=false) -> batchnorm() -> relu()
        -> conv(8, kernel=3, stride=2, pad=1) -> relu() -> global_avgpool() -> flatten()
        -> dropout(0.1) -> dense(2)
}

train stripes {
    model = Net
    data = dataset("stripes.npz", train=varied, val=plain, test=plain)
    loss = cross_entropy(out.logits, data.label)
    metrics = [accuracy(out.logits, data.label), auc(out.logits, data.label)]
    optimizer = adam(lr=cosine(1e-2 .. 1e-4, warmup=2))
    epochs = 3
    batch = 16
    seed = 5
}
"""


def write_stripes(path: Path, sizes: tuple[int, int, int] = (72, 40, 40)) -> None:
    """Writes a MedMNIST file of images [N, 16, 16] of stripes, in noise."""
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in zip(("train", "val", "test"), sizes, strict=True):
        labels = random.integers(0, 2, count)
        waves = np.sin(np.arange(16) * 1.6 + random.uniform(0, 6, (count, 1)))
        images = np.where(labels[:, None, None] == 0, waves[:, :, None], waves[:, None, :])
        noisy = 128 + 60 * images + random.normal(0, 25, (count, 16, 16))
        arrays[f"{part}_images"] = np.clip(noisy, 0, 255).astype(np.uint8)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
    np.savez(path, **arrays)


class OpenStripes(Protocol):
    """Opens a run of the task, after replacing parts of its text."""

    def __call__(
        self, out: str = "run", communicator: Communicator | None = None, **replaced: str
    ) -> Run:
        """Replaces settings: `epochs="2"` changes the line that says `epochs = ...`."""


@pytest.fixture
def open_stripes(tmp_path: Path) -> OpenStripes:
    write_stripes(tmp_path / "stripes.npz")

    def opened(out: str = "run", communicator: Communicator | None = None, **replaced: str) -> Run:
        lines = STRIPES.splitlines()
        head = lines[: lines.index("train stripes {") + 1]
        settings = {
            line.split("=", 1)[0].strip(): line.split("=", 1)[1] for line in lines[len(head) : -1]
        }
        body = [f"    {name} = {value}" for name, value in {**settings, **replaced}.items()]
        text = "\n".join((*head, *body, "}"))
        target, program = Target("cpu", threads=1 if communicator else 0), load_text(text)
        place = tmp_path / out
        return open_run(program, "stripes", tmp_path, place, target, communicator=communicator)

    return opened
