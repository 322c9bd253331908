"""What the processes of onnx_fuzz.py do: they read one damaged model after another."""

from __future__ import annotations

import random
import resource
import signal
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.onnx_damage import damaged
from bench.onnx_seeds import seed_models
from dhc.errors import DhcError
from dhc.onnx.read import load

SECONDS = 2.0  # of processor time for one model
MEMORY = 500 << 20  # bytes for one model
ADDRESSES = 8 << 30  # bytes that may be asked for, but not used

Span = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    """What must not happen.

    Attributes:
        number: The model with which it happens.
        kind: `exception`, `hang`, `memory` or `crash`.
        text: What happens.
        place: The line of dhc where it happens.
    """

    number: int
    kind: str
    text: str
    place: str

    @property
    def key(self) -> tuple[str, str]:
        """What findings of the same cause share."""
        return self.kind, self.place


@dataclass(frozen=True)
class Work:
    """What a process is given.

    Attributes:
        seed: What decides all damages, together with the number of the model.
        pipe: Where it gets spans of numbers, and sends findings and counts.
        number: Shared memory for the number of the model that it reads.
    """

    seed: int
    pipe: Connection
    number: Any


class TooLongError(BaseException):
    """A model takes too long; nothing that reads models catches it."""


def damaged_model(seeds: Sequence[Sequence[bytes]], seed: int, number: int) -> bytes:
    """Returns the model of a number."""
    chance = random.Random(f"{seed} {number}")
    return damaged(chance.choice(chance.choice(seeds)), chance)


def read_models(work: Work) -> None:
    """Reads models until there is no further span, or one has taken too much memory."""
    seeds = seed_models()
    signal.signal(signal.SIGPROF, _too_long)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        while (span := work.pipe.recv()) is not None:
            outcomes: Counter[str] = Counter()
            for number in range(*span):
                work.number.value = number
                file.write_bytes(damaged_model(seeds, work.seed, number))
                outcome = _outcome(file, number)
                if isinstance(outcome, str):
                    outcomes[outcome] += 1
                    continue
                work.pipe.send(outcome)
                if outcome.kind == "memory":
                    work.pipe.send(outcomes)
                    return
            work.pipe.send(outcomes)


def _outcome(file: Path, number: int) -> str | Finding:
    before = _peak()
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            load(file)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except DhcError:
        outcome = "refused"
    except TooLongError as error:
        return Finding(number, "hang", f"more than {SECONDS:.0f} s", _place(error))
    except Exception as error:
        text = f"{type(error).__name__}: {str(error)[:300]}"
        return Finding(number, "exception", text, _place(error))
    else:
        outcome = "read"
    used = _peak() - before
    return Finding(number, "memory", f"{used >> 20} MB", outcome) if used > MEMORY else outcome


def _too_long(signal: int, frame: object) -> None:
    raise TooLongError


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _place(error: BaseException) -> str:
    """The innermost line of dhc."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "dhc" in Path(frame.filename).parts]
    frame = (ours or list(frames))[-1]
    return f"{'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"
