"""Curves for TensorBoard: files of events.

A file is a series of records (length, checksum, protocol buffer `Event`, checksum), as TensorFlow's
`record_writer.h` and `event.proto` define them. Only scalars are written.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import cache
from io import BufferedWriter
from pathlib import Path

from dhc.runtime.reporting.records import EpochRecord, RunPlan, StepRecord

EVERY = 10  # steps between points of the curves of steps
_START = 1  # SessionLog.START: TensorBoard drops what it knew of later steps


class Events:
    """An observer that writes curves of loss, rate and metrics into a run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BufferedWriter | None = None

    def started(self, plan: RunPlan, done: int) -> None:
        now = time.time()
        self._file = (self._folder / f"events.out.tfevents.{now:.6f}.dhc").open("wb")
        self._write(event(now, 0, version="brain.Event:2"))
        self._write(event(now, done, start=_START))

    def step(self, record: StepRecord) -> None:
        if record.step % EVERY == 0:
            values = {"step/loss": record.loss, "step/rate": record.rate}
            self._write(event(time.time(), record.step, values))

    def epoch(self, record: EpochRecord) -> None:
        values = {f"train/{name}": value for name, value in record.train.items()}
        values |= {f"val/{name}": value for name, value in record.val.items()}
        self._write(event(time.time(), record.step, values))

    def saving(self) -> None:
        assert self._file is not None
        self._file.flush()

    def stopped(self, why: str) -> None:
        assert self._file is not None
        self._file.close()

    def _write(self, content: bytes) -> None:
        assert self._file is not None, "the run has not started"
        self._file.write(framed(content))


# ---- protocol buffers ------------------------------------------------------------------------


def event(
    when: float,
    step: int,
    scalars: Mapping[str, float] | None = None,
    version: str = "",
    start: int = 0,
) -> bytes:
    """Returns an `Event`: its time, step, and one of version, start of a session and scalars."""
    parts = [_double(1, when), _varint_field(2, step)]
    if version:
        parts.append(_bytes_field(3, version.encode()))
    if start:
        parts.append(_bytes_field(7, _varint_field(1, start)))
    if scalars:
        values = [_bytes_field(1, _scalar(name, value)) for name, value in scalars.items()]
        parts.append(_bytes_field(5, b"".join(values)))
    return b"".join(parts)


def _scalar(name: str, value: float) -> bytes:
    """A `Summary.Value` with its tag and simple value."""
    return _bytes_field(1, name.encode()) + _key(2, 5) + struct.pack("<f", value)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _bytes_field(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _varint_field(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


# ---- records ---------------------------------------------------------------------------------


def framed(content: bytes) -> bytes:
    """Returns a record with its length and both checksums."""
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def _masked(content: bytes) -> bytes:
    """A checksum as TensorFlow stores it: rotated, plus a constant."""
    value = crc32c(content)
    rotated = (value >> 15 | value << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(content: bytes) -> int:
    """Returns the Castagnoli checksum (RFC 3720, B.4)."""
    table, value = _table(), 0xFFFFFFFF
    for byte in content:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value

    return tuple(entry(value) for value in range(256))
