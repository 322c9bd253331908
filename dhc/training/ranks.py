"""One rank's share of a run: which samples are its own, and what it hears from the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array
from dhc.metrics.base import Rows
from dhc.runtime.comm.agree import pack, together, unpack
from dhc.runtime.comm.base import Alone, Communicator, Exchange
from dhc.runtime.data.sampler import shard
from dhc.training.group import Part
from dhc.training.samples import IDENTITY

log = logging.getLogger("dhc")

SHARES = "shares"  # the field of a batch that says whose its samples are
T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """A rank's part of a batch.

    Attributes:
        numbers: Of its samples; of another's first one, if there are fewer samples than ranks.
        whole: How many samples the batch has on all ranks.
        present: Whether its samples are its own.
    """

    numbers: Array
    whole: int
    present: bool

    @property
    def row(self) -> tuple[int, int, int]:
        """The same as numbers: of samples here, of samples everywhere, and 1 if present."""
        return len(self.numbers), self.whole, int(self.present)


class Ranks:
    """The ranks of a run, seen from one of them.

    Attributes:
        communicator: How they speak to each other.
        exchange: What the collectives of the step go through.
    """

    def __init__(self, communicator: Communicator | None = None) -> None:
        self.communicator = communicator or Alone()
        self.exchange = Exchange(self.communicator)

    def share(self, numbers: Array) -> Share:
        """Returns this rank's part of a batch."""
        own = shard(numbers, self.communicator.rank, self.communicator.size)
        return Share(own if len(own) else numbers[:1], len(numbers), len(own) > 0)

    def shares(self, numbers: Array, size: int) -> list[Share]:
        """Returns this rank's parts of the batches of a group, of at most `size` samples each."""
        return [self.share(numbers[k : k + size]) for k in range(0, len(numbers), size)]

    def agreed(self, items: Generator[T, None, None]) -> Iterator[T]:
        """Yields items of which all ranks have the same number, when all ranks have theirs."""
        try:
            while (found := together(self.communicator, lambda: next(items, None))) is not None:
                yield found
        finally:
            items.close()

    def dealt(self, plan: Sequence[T]) -> list[T]:
        """Returns this rank's items of a list that is dealt in turn."""
        return list(plan[self.communicator.rank :: self.communicator.size])

    def collected(self, own: Sequence[Mapping[str, Rows]], count: int) -> list[Mapping[str, Rows]]:
        """Returns what was made of `count` items that were dealt, in their order.

        Args:
            own: What this rank made of its own.
            count: How many items there were.
        """
        size = self.communicator.size
        if size == 1:
            return list(own)
        named = {f"{k}.{name}": array for k, each in enumerate(own) for name, array in each.items()}
        found: list[dict[str, Rows]] = [{} for _ in range(count)]
        for rank, content in enumerate(self.communicator.allgather(pack(named))):
            for key, array in unpack(content).items():
                place, _, name = key.partition(".")
                found[rank + size * int(place)][name] = np.asarray(array, np.float64)
        return list(found)

    def first_text(self, text: str, empty: str) -> str:
        """Returns the text of the first rank that has another than `empty`."""
        found = [content.decode() for content in self.communicator.allgather(text.encode())]
        return next((each for each in found if each != empty), empty)

    def target(self, target: Target) -> Target:
        """Returns a target that takes this rank's share of the machine's cores."""
        if self.communicator.neighbours == 1 or target.threads:
            return target
        return replace(target, threads=self.cores())

    def cores(self) -> int:
        """Returns how many cores are this rank's own."""
        whole = os.cpu_count() or 1
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else whole
        return max(1, min(allowed, whole // self.communicator.neighbours))

    def require(self, distributed: bool, name: str) -> None:
        """Says that there is one rank only, and refuses several that would all do the same.

        Raises:
            DhcError: if the train block does not say how they share the work.
        """
        if distributed and self.communicator.size == 1:
            log.info("'%s' may be shared by ranks; there is one: no mpiexec has started it.", name)
        if self.communicator.size > 1 and not distributed:
            text = f"There are {self.communicator.size} ranks, and '{name}' does not say how they "
            hint = "add to it: distribute { mode = data_parallel() }"
            raise DhcError(Diagnostic("distribute", f"{text}share the work.", hints=(hint,)))


def shares_table(shares: Sequence[Share]) -> Array:
    """Returns what a batch keeps of its shares: a row of three numbers for each."""
    return np.array([share.row for share in shares], np.int64)


def parts(batch: Mapping[str, Array]) -> Iterator[tuple[Part, dict[str, Array]]]:
    """Yields the batches of a group as far as they are this rank's, with their places."""
    shares = shares_of(batch).tolist()
    first = 0
    for k, (here, whole, present) in enumerate(shares):
        last = first + here
        own = {name: array[first:last] for name, array in batch.items() if name != SHARES}
        yield Part(whole, k == 0, k == len(shares) - 1, bool(present)), own
        first = last


def shares_of(batch: Mapping[str, Array]) -> Array:
    """Returns a row for each batch of a group; a batch that nobody shares is all of one."""
    count = len(batch[IDENTITY])
    return batch.get(SHARES, np.array([[count, count, 1]]))
