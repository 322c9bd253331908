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
        drop_last: Whether a last batch that is too short is left out; the only one never is.
        classes: The class of each sample, for epochs with as many samples of each class; empty for
            epochs with each sample once.

    Raises:
        ValueError: if there are no samples, or batches of none.
    """

    count: int
    batch: int
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    classes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1 or self.batch < 1:
            raise ValueError(f"{self.count} samples in batches of {self.batch} make no epoch")

    @property
    def batches(self) -> int:
        """How many batches an epoch has."""
        whole, rest = divmod(self.count, self.batch)
        return whole + bool(rest and not (self.drop_last and whole))

    def order(self, epoch: int) -> Array:
        """Returns all sample numbers in the order of an epoch.

        Where classes are balanced, a sample that comes again has the number of samples added to its
        own for every time before.
        """
        if not self.shuffle:
            return np.arange(self.count)
        if not self.classes:
            return self._shuffled(np.arange(self.count), f"order {self.seed} {epoch}")
        return self._shuffled(self._balanced(epoch), f"order {self.seed} {epoch}")

    def _balanced(self, epoch: int) -> Array:
        """As many samples of each class as can be, all of a class before one comes again."""
        owners = np.asarray(self.classes)
        known = np.unique(owners)
        turns = np.roll(np.arange(len(known)), epoch)  # whose share is one larger
        found = []
        for turn, each in zip(turns, known, strict=True):
            wanted = self.count // len(known) + (turn < self.count % len(known))
            own = np.flatnonzero(owners == each)
            for again in range(-(-wanted // len(own))):
                name = f"class {self.seed} {epoch} {each} {again}"
                found.append(self._shuffled(own, name)[:wanted] + again * self.count)
                wanted -= len(own)
        return np.concatenate(found)

    def _shuffled(self, numbers: Array, name: str) -> Array:
        """The numbers in another order.

        It sorts raw bits, because numpy promises those to stay the same in all its versions, and
        promises nothing of its permutations.
        """
        digest = hashlib.sha256(name.encode()).digest()
        philox = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        return numbers[np.argsort(philox.random_raw(len(numbers)), kind="stable")]

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Array]:
        """Yields the batches of an epoch from number `first` on, counted from 0."""
        order = self.order(epoch)
        for number in range(first, self.batches):
            yield order[number * self.batch : (number + 1) * self.batch]


def even_batch(count: int, most: int) -> int:
    """Returns a size of batches for samples whose order does not matter.

    It is at most `most`, and divides the number of samples where one from half of that on does: a
    shorter last batch would be another program to compile.
    """
    sizes = range(min(count, most), (most - 1) // 2, -1)
    return next((size for size in sizes if count % size == 0), min(count, most))


def shard(batch: Array, rank: int, ranks: int) -> Array:
    """Returns one rank's part of a batch: neighbouring samples, as even as can be."""
    edges = [len(batch) * k // ranks for k in range(ranks + 1)]
    return batch[edges[rank] : edges[rank + 1]]
