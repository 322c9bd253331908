"""The order of samples: a function of the seed and the epoch, of nothing else.

So there is no state to keep: resuming in the middle of an epoch is starting at a later place of the
same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Array


@dataclass(frozen=True)
class Sampler:
    """Batches of sample numbers.

    Attributes:
        count: Samples of the part.
        batch: Samples of a batch, on all ranks together.
        seed: Decides every order.
        shuffle: Whether the order changes from epoch to epoch.
        drop_last: Whether a last batch that is too short is left out.
    """

    count: int
    batch: int
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        whole, rest = divmod(self.count, self.batch)
        return whole + bool(rest and not (self.drop_last and whole))

    def order(self, epoch: int) -> Array:
        """Returns all sample numbers in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.count)
        digest = hashlib.sha256(f"order {self.seed} {epoch}".encode()).digest()
        philox = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        return np.random.Generator(philox).permutation(self.count)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Array]:
        """Yields the batches of an epoch from number `first` on."""
        order = self.order(epoch)
        for number in range(first, self.batches):
            yield order[number * self.batch : (number + 1) * self.batch]


def shard(batch: Array, rank: int, ranks: int) -> Array:
    """Returns one rank's part of a batch: neighbouring samples, as even as can be."""
    edges = [len(batch) * k // ranks for k in range(ranks + 1)]
    return batch[edges[rank] : edges[rank + 1]]
