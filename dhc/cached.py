"""Compiled programs by what they were made of: graph, target, and this version of the compiler."""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from importlib.metadata import version
from pathlib import Path

import dhc
from dhc.backends.base import Backend, Restored, Target
from dhc.runtime.cache import default_cache

log = logging.getLogger("dhc")


def entry_name(graph_text: str, target: Target, backend: Backend) -> str:
    """Returns the name under which the cache keeps a program."""
    options = sorted(target.options.items())
    parts = (
        _compiler(),
        backend.identity(),
        target.backend,
        str(target.threads),
        target.precision,
        repr(options),
        graph_text,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8")).hexdigest()


def restore(name: str, backend: Backend) -> Restored | None:
    stored = default_cache().get(name)
    restored = None if stored is None else backend.restore(stored)
    text = "The program %s is %s the cache."
    log.info(text, name[:12], "not in" if restored is None else "taken from")
    return restored


@cache
def _compiler() -> str:
    """The version, and a digest of the files, which change more often while dhc is developed."""
    digest = hashlib.sha256()
    root = Path(dhc.__file__).parent
    for folder in (root, root / "backends", root / "runtime", root / "grammar"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".h"):
                status = path.stat()
                digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}".encode())
    return f"dhc {version('dhc')} {digest.hexdigest()}"
