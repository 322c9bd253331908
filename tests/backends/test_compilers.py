"""Large programs are compiled in parts, by several processes, and mean the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.backends.base import Target
from dhc.backends.cpu import CpuBackend, compilers, llvm, module
from dhc.backends.cpu.compilers import compile_objects
from dhc.backends.cpu.features import GENERIC
from dhc.backends.cpu.llvm import compile_text, read_blocks

TEXTS = [
    f"define i64 @f{k}(i64 %x) {{\n  %y = add i64 %x, {k}\n  ret i64 %y\n}}\n" for k in range(5)
]
NETWORK = """
model Net() {
    input image: f32[2, 3, 8, 8]
    output y = image -> conv(20, kernel=3, pad=1) -> relu() -> maxpool(2) -> conv(9, kernel=3)
        -> global_avgpool() -> flatten() -> dense(5) -> softmax()
}
"""


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Object files that earlier tests made are not there."""
    monkeypatch.setattr(compilers, "_kept", compilers._Kept())


def _alone() -> list[bytes]:
    return [compile_text(text, GENERIC.cpu, GENERIC.features) for text in TEXTS]


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_object_files_are_the_same_whoever_compiles(workers: int) -> None:
    assert list(compile_objects(TEXTS, GENERIC, workers)) == _alone()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that this process compiles."""
    found: list[str] = []

    def noted(text: str, cpu: str, features: str) -> bytes:
        found.append(text)
        return compile_text(text, cpu, features)

    monkeypatch.setattr(llvm, "compile_text", noted)
    return found


def test_helpers_do_their_share(here: list[str]) -> None:
    """Of five modules, three are compiled here."""
    compile_objects(TEXTS, GENERIC, 2)
    assert len(here) == 3


def test_equal_modules_are_compiled_once(here: list[str]) -> None:
    first = compile_objects([*TEXTS[:2], TEXTS[0]], GENERIC, 1)
    again = compile_objects(TEXTS, GENERIC, 1)
    assert first == (again[0], again[1], again[0])
    assert here == TEXTS


def test_object_files_are_kept_up_to_a_size(
    here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones are dropped."""
    monkeypatch.setattr(compilers, "MOST_KEPT", sum(map(len, _alone()[1:])))
    here.clear()
    compile_objects(TEXTS, GENERIC, 1)
    compile_objects(TEXTS[1:], GENERIC, 1)
    assert len(here) == 5
    compile_objects(TEXTS[:1], GENERIC, 1)
    assert len(here) == 6


@pytest.mark.parametrize("what", ["/nowhere/python", "false", "echo"])
def test_what_a_helper_cannot_do_is_done_here(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be no interpreter, or one that fails, or one that says something else."""
    monkeypatch.setattr(sys, "executable", what)
    assert list(compile_objects(TEXTS, GENERIC, 2)) == _alone()


def test_mistakes_in_a_text_are_errors_also_in_a_helper() -> None:
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        compile_objects([*TEXTS, "define nonsense"], GENERIC, 2)


@pytest.mark.parametrize("content", [b"\x01", b"\x09" + bytes(7), b"\x01" + bytes(7)])
def test_blocks_that_are_cut_off_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        read_blocks(content)


def test_parts_of_a_program_mean_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in modules of their own, and the program from the cache."""
    file = tmp_path / "net.dhm"
    file.write_text(f"dhm 1\n{NETWORK}")
    model = dhc.load(file).model("Net")
    image = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    whole = dhc.compile(model, "cpu")(image=image)["y"]
    monkeypatch.setattr(module, "PART", 8_000)
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "cache"))
    files = CpuBackend(Target("cpu", threads=2)).lower(model.graph).source.files
    assert len(files) > 3
    assert "define hidden" not in next(iter(files.values()))
    for _ in range(2):
        assert np.array_equal(dhc.compile(model, "cpu")(image=image)["y"], whole)


def test_batches_of_other_sizes_compile_little(
    here: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions of generators are the same for any batch; what differs is the rest."""
    file = tmp_path / "net.dhm"
    file.write_text(f"dhm 1\n{NETWORK.replace('f32[2,', 'f32[N,')}")
    monkeypatch.setattr(module, "PART", 8_000)
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "cache"))
    program = dhc.compile(dhc.load(file).model("Net"), "cpu", threads=1)
    images = np.random.default_rng(1).standard_normal((5, 3, 8, 8)).astype(np.float32)
    whole = program(image=images)["y"]
    first = sum(map(len, here))
    here.clear()
    cut = program(image=images[:4])["y"]
    assert 0 < sum(map(len, here)) < 0.6 * first
    assert np.array_equal(cut, whole[:4])
