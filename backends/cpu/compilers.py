"""Compiles modules of LLVM text, several at a time where there are processors for it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dhc.backends.cpu import llvm
from dhc.backends.cpu.features import Isa

log = logging.getLogger("dhc")


MOST_KEPT = 64 << 20  # bytes of object files


class _Kept:
    """Object files that were made before, by what they were made of; the oldest are dropped."""

    def __init__(self) -> None:
        self._objects: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        with self._lock:
            return {key: self._objects[key] for key in keys if key in self._objects}

    def keep(self, made: Mapping[bytes, bytes]) -> None:
        with self._lock:
            self._objects.update(made)
            while sum(map(len, self._objects.values())) > MOST_KEPT:
                del self._objects[next(iter(self._objects))]


_kept = _Kept()


def compile_objects(texts: Sequence[str], isa: Isa, workers: int) -> tuple[bytes, ...]:
    """Returns the object file of each module; equal modules are compiled once.

    Args:
        texts: The modules.
        isa: For which processor.
        workers: How many are compiled at the same time: one here, the others by helpers. What a
            helper cannot do is done here.
    """
    keys = [_key(text, isa) for text in texts]
    known = _kept.find(keys)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    made = dict(zip(missing, _compiled(list(missing.values()), isa, workers), strict=True))
    _kept.keep(made)
    known |= made
    return tuple(known[key] for key in keys)


def _key(text: str, isa: Isa) -> bytes:
    return hashlib.sha256(f"{isa.cpu} {isa.features}\n{text}".encode()).digest()


def _compiled(texts: Sequence[str], isa: Isa, workers: int) -> tuple[bytes, ...]:
    shares = _shares(texts, min(workers, len(texts)))
    helpers = [_Helper([texts[k] for k in share], isa) for share in shares[1:]]
    found: dict[int, bytes] = {}
    try:
        for k in shares[0]:
            found[k] = llvm.compile_text(texts[k], isa.cpu, isa.features)
        for helper, share in zip(helpers, shares[1:], strict=True):
            found.update(zip(share, helper.objects(), strict=True))
    finally:
        for helper in helpers:
            helper.end()
    return tuple(found[k] for k in range(len(texts)))


def _shares(texts: Sequence[str], count: int) -> list[list[int]]:
    """Deals modules out, the longest first, each to whoever has least."""
    shares: list[list[int]] = [[] for _ in range(max(count, 1))]
    sizes = [0] * len(shares)
    for k in sorted(range(len(texts)), key=lambda k: -len(texts[k])):
        least = sizes.index(min(sizes))
        shares[least].append(k)
        sizes[least] += len(texts[k])
    return shares


class _Helper:
    """A process that compiles some modules while this one compiles others."""

    def __init__(self, texts: Sequence[str], isa: Isa) -> None:
        self._texts = texts
        self._isa = isa
        self._process = self._started()
        self._ask()

    def _started(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-P", str(Path(llvm.__file__))]
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as problem:  # there is no interpreter to start
            log.debug("No helper compiles: %s", problem)
            return None

    def _ask(self) -> None:
        request = io.BytesIO()
        kind = json.dumps([self._isa.cpu, self._isa.features])
        llvm.write_blocks(request, [part.encode() for part in (kind, *self._texts)])
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError), self._process.stdin as pipe:  # it may have ended already
                pipe.write(request.getvalue())

    def objects(self) -> list[bytes]:
        """Waits for the object files; compiles here what the process could not."""
        content = b""
        if self._process is not None and self._process.stdout is not None:
            content = self._process.stdout.read()
        try:
            found = llvm.read_blocks(content)
        except ValueError:
            found = []
        if len(found) == len(self._texts):
            return found
        log.debug("A helper compiled nothing; its modules are compiled here.")
        return [llvm.compile_text(t, self._isa.cpu, self._isa.features) for t in self._texts]

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        if self._process is None:
            return
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.kill()
        self._process.wait()
