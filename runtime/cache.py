"""The cache of compiled objects on disk: owner-only, authenticated, bounded.

Machine code from a file must not run merely because the file is there. Each entry carries a keyed
digest made with a secret that only this user can read; an entry without a valid one is not used.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dhc.files import atomic_writer

MAX_BYTES = 1 << 30
MAX_ENTRY = 1 << 28
_KEY_BYTES = 32
_DIGEST_BYTES = 32
_SUFFIX = ".entry"
ABANDONED = 3600.0  # seconds after which a half-written file has no writer any more

log = logging.getLogger("dhc")


@dataclass(frozen=True)
class Usage:
    """What a cache holds."""

    folder: Path
    entries: int
    bytes: int


class ObjectCache:
    """Entries by name, the least recently used removed first.

    Several processes may share it: entries are replaced atomically, and one that disappears is
    simply not found.

    Args:
        folder: Where it lies; made with access for this user only.
        limit: Bytes that it may hold.
    """

    def __init__(self, folder: Path, limit: int = MAX_BYTES) -> None:
        self.folder = folder
        self._limit = limit

    def get(self, name: str) -> bytes | None:
        """Returns an entry; None if it is missing, damaged or not written by this user."""
        path = self._path(name)
        try:
            if path.stat().st_size > MAX_ENTRY:
                return None
            content = path.read_bytes()
            secret = self._secret()
        except OSError:
            return None
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if not hmac.compare_digest(digest, _digest(secret, name, payload)):
            log.warning("The cache entry '%s' is not authentic; it is not used.", path)
            return None
        try:
            os.utime(path)
        except OSError:
            log.debug("The cache entry '%s' cannot be touched.", path)
        return payload

    def put(self, name: str, payload: bytes) -> None:
        """Keeps an entry, if the folder can be written and there is room for it."""
        if len(payload) > min(MAX_ENTRY, self._limit) - _DIGEST_BYTES:
            return
        try:
            secret = self._secret()
            with atomic_writer(self._path(name)) as stream:
                stream.write(_digest(secret, name, payload) + payload)
            self._shrink(self._limit)
        except OSError as error:
            log.warning("The cache '%s' cannot be used: %s.", self.folder, error)

    def usage(self) -> Usage:
        """Counts the entries."""
        entries = self._entries()
        return Usage(self.folder, len(entries), sum(size for _, size, _ in entries))

    def clear(self) -> None:
        """Removes all entries."""
        self._shrink(0)

    def _shrink(self, limit: int) -> None:
        self._remove_abandoned()
        entries = sorted(self._entries())
        total = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if total <= limit:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _remove_abandoned(self) -> None:
        """Removes what processes that were killed left behind."""
        for path in self.folder.glob(".*.part"):
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - ABANDONED:
                    path.unlink()

    def _entries(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found

    def _path(self, name: str) -> Path:
        return self.folder / (hashlib.sha256(name.encode("utf-8")).hexdigest() + _SUFFIX)

    def _secret(self) -> bytes:
        """This user's secret, made when first needed.

        Raises:
            OSError: if the folder or the secret is open to other users.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(self.folder)
        path = self.folder / "secret"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            _require_private(path)
            secret = path.read_bytes()
            if len(secret) == _KEY_BYTES:
                return secret
            raise OSError(f"'{path}' is damaged; remove it") from None
        with os.fdopen(descriptor, "wb") as stream:
            secret = secrets.token_bytes(_KEY_BYTES)
            stream.write(secret)
        return secret


def default_cache() -> ObjectCache:
    """Returns the cache in the user's folder for it."""
    return ObjectCache(cache_folder())


def cache_folder() -> Path:
    """Returns `DHC_CACHE`, else the place that the system has for such files."""
    given = os.environ.get("DHC_CACHE")
    return Path(given) if given else _system_folder()


def private_folder() -> Path:
    """Returns the folder of the cache, made with access for this user only if it is not there.

    Raises:
        OSError: if it cannot be made.
    """
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _system_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "dhc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dhc"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dhc"


def _digest(secret: bytes, name: str, payload: bytes) -> bytes:
    return hmac.digest(secret, name.encode("utf-8") + b"\0" + payload, "sha256")


def _require_private(path: Path) -> None:
    if sys.platform == "win32":
        return
    status = path.stat()
    if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise PermissionError(f"'{path}' is open to other users; chmod go-rwx it")
