"""The cache runs nothing that this user did not write, and stays within its bounds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dhc.runtime.cache import ObjectCache

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX systems")


def test_entries_come_back(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache")
    assert cache.get("a") is None
    cache.put("a", b"code")
    assert ObjectCache(tmp_path / "cache").get("a") == b"code"
    assert cache.usage().entries == 1


def test_changed_entries_are_not_used(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    os.chmod(tmp_path, 0o700)
    cache.put("a", b"code")
    (path,) = tmp_path.glob("*.entry")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"X")
    assert cache.get("a") is None


def test_an_entry_is_bound_to_its_name(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "c")
    cache.put("a", b"code")
    cache.put("b", b"other")
    os.replace(cache._path("a"), cache._path("b"))
    assert cache.get("b") is None


def test_entries_of_another_secret_are_not_used(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "c")
    cache.put("a", b"code")
    (tmp_path / "c" / "secret").write_bytes(b"\0" * 32)
    assert cache.get("a") is None


@posix
@pytest.mark.parametrize("name", [".", "secret"])
def test_a_cache_open_to_others_is_not_used(tmp_path: Path, name: str) -> None:
    cache = ObjectCache(tmp_path / "c")
    cache.put("a", b"code")
    os.chmod(tmp_path / "c" / name, 0o770 if name == "." else 0o640)
    assert cache.get("a") is None
    cache.put("b", b"code")
    os.chmod(tmp_path / "c" / name, 0o700 if name == "." else 0o600)
    assert cache.get("b") is None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "c", limit=3 * (32 + 100))
    for age, name in enumerate("abc"):
        cache.put(name, bytes(100))
        os.utime(cache._path(name), (1000 + age, 1000 + age))
    assert cache.get("a") is not None  # now the youngest
    cache.put("d", bytes(100))
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    cache.clear()
    assert cache.usage().entries == 0


def test_what_killed_processes_leave_is_removed(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "c")
    cache.put("a", b"code")
    parts = [tmp_path / "c" / f".{name}.entry.0.part" for name in ("old", "new")]
    for part in parts:
        part.write_bytes(bytes(100))
    os.utime(parts[0], (1000, 1000))
    cache.put("b", b"code")
    assert [part.exists() for part in parts] == [False, True]
    assert cache.usage().entries == 2
