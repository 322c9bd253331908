"""Compiled programs by what they were made of: graph, target, and this version of the compiler."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version

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
        str(target.memory),
        repr(options),
        repr(target.without),
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
    root = os.path.dirname(os.path.abspath(dhc.__file__))
    folders = [root, *(os.path.join(root, name) for name in ("backends", "runtime", "grammar"))]
    found = sorted(line for folder in folders for line in _files(folder))
    digest = hashlib.sha256("\n".join(found).encode("utf-8")).hexdigest()
    return f"dhc {version('dhc')} {digest}"


def _files(folder: str) -> Iterator[str]:
    """The sources in a folder with their sizes and times; links to folders are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path)
            elif entry.name.endswith((".py", ".h")):
                status = entry.stat()
                yield f"{entry.name} {status.st_size} {status.st_mtime_ns}"
