"""Writing files so that a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NAME_LENGTH = 100  # of the final name within the temporary one; systems allow 255 bytes


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary neighbour of `path` that takes its place when the block ends well.

    A file that is replaced keeps its permissions, and a link keeps pointing to the file that is
    replaced. On an error the temporary file is removed and `path` stays as it was.

    Raises:
        OSError: naming `path`, if it cannot be written.
    """
    target = Path(os.path.realpath(path))
    _make_folder(target.parent)
    mode = _permissions(target)
    short = target.name.encode("utf-8", "replace")[:_NAME_LENGTH].decode("utf-8", "ignore")
    part = target.with_name(f".{short}.{secrets.token_hex(8)}.part")
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        # The system applies the user's mask to new files; nobody else may read a private one.
        descriptor = os.open(part, flags, 0o666 if mode is None else 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            os.chmod(part, mode)
        os.replace(part, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError) and error.filename in (None, str(part)):
            error.filename, error.filename2 = str(path), None
        raise


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def _permissions(path: Path) -> int | None:
    """The permissions of a file, or None if there is none yet."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
