"""Prepares batches ahead of time in threads; the batches are the same for any number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.ir.graph import Array

Sample = Mapping[str, Array]
Prepare = Callable[[int], Sample]
"""Reads and prepares the sample of a number."""


def load_batches(
    batches: Iterable[Array], prepare: Prepare, workers: int = 2, ahead: int = 2
) -> Iterator[dict[str, Array]]:
    """Yields batches in order, each array with the samples along a new first axis.

    Args:
        batches: Sample numbers of each batch.
        prepare: Makes one sample; it is called from several threads.
        workers: How many threads; 0 prepares in the caller's.
        ahead: Batches that are prepared before they are asked for.

    Raises:
        DhcError: what preparing a sample raised; the threads end first.
    """
    if workers == 0:
        for numbers in batches:
            yield collate([prepare(int(number)) for number in numbers])
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="dhc-data") as pool:
        waiting: deque[list[Future[Sample]]] = deque()
        rest = iter(batches)
        try:
            for numbers in rest:
                waiting.append([pool.submit(prepare, int(number)) for number in numbers])
                if len(waiting) > ahead:
                    yield collate([future.result() for future in waiting.popleft()])
            while waiting:
                yield collate([future.result() for future in waiting.popleft()])
        finally:
            for futures in waiting:
                for future in futures:
                    future.cancel()


def collate(samples: Sequence[Sample]) -> dict[str, Array]:
    """Stacks samples field by field.

    Raises:
        DhcError: if samples differ in shape.
    """
    found: dict[str, Array] = {}
    for name, first in samples[0].items():
        arrays = [sample[name] for sample in samples]
        other = next((a for a in arrays if a.shape != first.shape), None)
        if other is not None:
            text = f"Samples of one batch have '{name}' of shapes {list(first.shape)} and "
            text += f"{list(other.shape)}."
            hint = "resize them in the pipeline"
            raise DhcError(Diagnostic("data", text, hints=(hint,)))
        found[name] = np.stack(arrays)
    return found
