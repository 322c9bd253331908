"""Files are replaced as a whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from dhc.files import atomic_writer

posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX systems")


def _write(path: Path, content: bytes) -> None:
    with atomic_writer(path) as stream:
        stream.write(content)


def _fail(path: Path, error: type[BaseException]) -> None:
    with atomic_writer(path) as stream:
        stream.write(b"half")
        raise error


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_and_their_folders_are_made(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "b" / "c.bin", b"new")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"new"


def test_errors_name_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, atomic_writer(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a")
    (tmp_path / "plain").write_text("")
    with pytest.raises(OSError, match="plain"):
        _write(tmp_path / "plain" / "a", b"")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("exists", [True, False])
def test_an_error_changes_nothing(tmp_path: Path, error: type[BaseException], exists: bool) -> None:
    path = tmp_path / "a.bin"
    if exists:
        path.write_bytes(b"old")
    with pytest.raises(error):
        _fail(path, error)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"old"] if exists else [])


def test_readers_see_the_old_content_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_writer(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a"):
        _write(tmp_path / "a", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_long_names_are_possible(tmp_path: Path) -> None:
    _write(tmp_path / ("ä" * 120), b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_replaced_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_writer(path) as stream:
        parts = [p for p in tmp_path.iterdir() if p != path]
        assert [_mode(part) for part in parts] == [0o600]
        stream.write(b"new")
    assert _mode(path) == mode


@posix
def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        _write(tmp_path / "a.bin", b"new")
    finally:
        os.umask(before)
    assert _mode(tmp_path / "a.bin") == 0o640


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    _write(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"
