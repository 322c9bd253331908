"""The ledger: what is written stays, and what was changed by hand is found."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhc.errors import DhcError
from dhc.runtime.kpi.ledger import FILE, KINDS, Entry, append, read_ledger, read_ledgers

texts = st.text(max_size=20)
entries = st.builds(
    Entry,
    kind=st.sampled_from(sorted(KINDS)),
    seconds=st.floats(0, 1e9),
    label=st.sampled_from(["measured", "declared"]),
    program=texts,
    pipeline=texts,
    subject=texts,
    session=texts,
    part=texts,
    parts=texts,
    when=st.just("2026-01-01T00:00:00+00:00"),
)
SOME = [Entry("training", float(seconds), subject=str(seconds)) for seconds in range(4)]


@settings(max_examples=40)
@given(st.lists(st.lists(entries, max_size=3), max_size=4))
def test_entries_come_back_in_order(groups: list[list[Entry]]) -> None:
    with TemporaryDirectory() as name:
        for group in groups:
            append(Path(name), *group)
        assert list(read_ledger(Path(name))) == [entry for group in groups for entry in group]


@settings(max_examples=60)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_any_changed_bit_is_found(place: int, bit: int) -> None:
    """But for the last line's end: without it the line was never finished."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        append(folder, *SOME)
        content = bytearray((folder / FILE).read_bytes())
        place %= len(content) - 1
        content[place] ^= 1 << bit
        (folder / FILE).write_bytes(content)
        with pytest.raises(DhcError, match="ledger"):
            read_ledger(folder)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_line_that_is_taken_out_is_found(tmp_path: Path, gone: int) -> None:
    append(tmp_path, *SOME)
    lines = (tmp_path / FILE).read_text().splitlines(keepends=True)
    (tmp_path / FILE).write_text("".join(lines[:gone] + lines[gone + 1 :]))
    with pytest.raises(DhcError, match=f"line {gone + 1}: lines before it are missing"):
        read_ledger(tmp_path)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    append(tmp_path, *SOME)
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"seconds":2.0', '"seconds":1.0'))
    with pytest.raises(DhcError, match="line 3 of the ledger is damaged: its digest differs"):
        read_ledger(tmp_path)


def test_nothing_is_added_after_a_damaged_line(tmp_path: Path) -> None:
    append(tmp_path, *SOME)
    before = (tmp_path / FILE).read_text().replace('"seconds":3.0', '"seconds":1.0')
    (tmp_path / FILE).write_text(before)
    with pytest.raises(DhcError, match="the last line of the ledger is damaged"):
        append(tmp_path, SOME[0])
    assert (tmp_path / FILE).read_text() == before


@pytest.mark.parametrize("torn", [b"{", b'{"version":1,"prev', b"\xff\x00"])
def test_a_line_without_end_was_never_written(tmp_path: Path, torn: bytes) -> None:
    append(tmp_path, *SOME[:2])
    with (tmp_path / FILE).open("ab") as file:
        file.write(torn)
    assert [e.seconds for e in read_ledger(tmp_path)] == [0.0, 1.0]
    append(tmp_path, SOME[2])
    assert [e.seconds for e in read_ledger(tmp_path)] == [0.0, 1.0, 2.0]


def test_another_version_is_refused(tmp_path: Path) -> None:
    append(tmp_path, SOME[0])
    content = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**content, "version": 2}) + "\n")
    with pytest.raises(DhcError, match="of version 2, and this dhc reads 1"):
        read_ledger(tmp_path)


@pytest.mark.parametrize(
    "line", ["null", "[]", "3", '"x"', "{}", '{"version":1}', "[" * 5000, "\ud800"]
)
def test_whatever_else_is_no_line(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE).write_bytes(line.encode("utf-8", "surrogatepass") + b"\n")
    with pytest.raises(DhcError, match="line 1 of the ledger is damaged"):
        read_ledger(tmp_path)


@pytest.mark.parametrize(
    ("kind", "seconds", "label"),
    [("lunch", 1.0, "measured"), ("test", -1.0, "measured"), ("test", float("nan"), "measured"),
     ("test", float("inf"), "measured"), ("test", 1.0, "unknown"), ("test", 1.0, "guessed")],
)  # fmt: skip
def test_what_is_no_entry(kind: str, seconds: float, label: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Entry(kind, seconds, label)


def test_threads_append_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: append(tmp_path, Entry("test", float(k)), SOME[0]), range(40)))
    found = read_ledger(tmp_path)
    assert sorted(e.seconds for e in found[::2]) == [float(k) for k in range(40)]
    assert {e.subject for e in found[1::2]} == {SOME[0].subject}  # pairs stay together


PROGRAM = """
import sys
from pathlib import Path
from dhc.runtime.kpi.ledger import Entry, append
for k in range(20):
    append(Path(sys.argv[1]), Entry("test", float(k), subject=sys.argv[2]))
"""


def test_processes_append_at_once(tmp_path: Path) -> None:
    names = [str(k) for k in range(3)]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    started = [subprocess.Popen([*command, name]) for name in names]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    found = read_ledger(tmp_path)
    for name in names:
        assert [e.seconds for e in found if e.subject == name] == [float(k) for k in range(20)]


def test_ledgers_are_read_together_the_oldest_first(tmp_path: Path) -> None:
    for day, name in ((2, "b"), (1, "a"), (3, "b")):
        append(tmp_path / name, Entry("test", float(day), when=f"2026-01-0{day}T00:00:00+00:00"))
    found = read_ledgers([tmp_path / "b", tmp_path / "a", tmp_path / "none"])
    assert [e.seconds for e in found] == [1.0, 2.0, 3.0]
