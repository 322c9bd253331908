"""Pages of the compiler are given back, and only those."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dhc.backends.cpu.pages import code_ranges, release_compiler
from dhc.driver import compile_graph
from dhc.frontend import load_text

MAPS = """\
7f0000000000-7f0000001000 r--p 00000000 fe:00 1 /a b/llvmlite/binding/libllvmlite.so
7f0000001000-7f0000003000 r-xp 00001000 fe:00 1 /a b/llvmlite/binding/libllvmlite.so
7f0000003000-7f0000004000 rw-p 00003000 fe:00 1 /a b/llvmlite/binding/libllvmlite.so
7f0000005000-7f0000006000 r-xp 00000000 fe:00 2 /lib/libllvmlite/other.so
7f0000006000-7f0000007000 r-xp 00000000 00:00 0
"""
PROGRAM = "dhm 1\nmodel M() {\n    input x: f32[N, 8]\n    output y = x -> relu()\n}\n"


def test_only_unchanged_pages_of_the_library_are_found() -> None:
    assert code_ranges(MAPS) == [(0x7F0000001000, 0x2000)]
    assert code_ranges("") == []


def test_compiling_goes_on_afterwards() -> None:
    graph = load_text(PROGRAM).model("M").graph
    for size in (1, 2):
        x = np.linspace(-1, 1, 8 * size, dtype="f4").reshape(size, 8)
        np.testing.assert_array_equal(compile_graph(graph, "cpu")(x=x)["y"], np.maximum(x, 0))
        release_compiler()


def test_a_system_without_the_table_is_left_alone(monkeypatch: object, tmp_path: Path) -> None:
    import dhc.backends.cpu.pages as pages

    monkeypatch.setattr(pages, "_MAPS", tmp_path / "none")  # type: ignore[attr-defined]
    release_compiler()
