"""Prepares batches ahead of time in threads; the batches are the same for any number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

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
        Exception: any other, with a note that has the number of the sample.
    """
    named = partial(_prepare, prepare)
    if workers == 0:
        for numbers in batches:
            yield collate([named(int(number)) for number in numbers])
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="dhc-data")
    waiting: deque[list[Future[Sample]]] = deque()
    try:
        for numbers in batches:
            waiting.append([pool.submit(named, int(number)) for number in numbers])
            if len(waiting) > ahead:
                yield collate([future.result() for future in waiting.popleft()])
        while waiting:
            yield collate([future.result() for future in waiting.popleft()])
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(prepare: Prepare, number: int) -> Sample:
    try:
        return prepare(number)
    except DhcError:
        raise  # it says itself where it is
    except Exception as error:
        error.add_note(f"while preparing sample {number}")
        raise


def collate(samples: Sequence[Sample]) -> dict[str, Array]:
    """Stacks samples field by field.

    Raises:
        DhcError: if samples differ in fields, element types or shapes.
    """
    first = samples[0]
    for sample in samples:
        if sample.keys() != first.keys():
            raise _unlike("have", _listed(first), _listed(sample))
        for name, array in sample.items():
            if array.dtype != first[name].dtype:
                raise _unlike(f"have '{name}' of type", first[name].dtype, array.dtype)
            if array.shape != first[name].shape:
                shapes = list(first[name].shape), list(array.shape)
                raise _unlike(f"have '{name}' of shape", *shapes, "resize them in the pipeline")
    return {name: np.stack([sample[name] for sample in samples]) for name in first}


def _unlike(what: str, one: object, other: object, *hints: str) -> DhcError:
    text = f"Samples of one batch {what} {one} and {other}."
    return DhcError(Diagnostic("data", text, hints=hints))


def _listed(sample: Sample) -> str:
    return ", ".join(sample) or "nothing"
