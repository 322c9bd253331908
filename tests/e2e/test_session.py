"""What stands before a command: logs, dumps and checks; and how dhc ends when it fails."""

from __future__ import annotations

import logging
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, NoReturn

import numpy as np
import pytest

import dhc.driver
from dhc import cli
from dhc.ir.graph import Graph, Node, literal
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.conv import Conv
from dhc.ops.elementwise import Mul
from dhc.passes.manager import Pass

ROOT = Path(__file__).resolve().parents[2]
TISSUE = str(ROOT / "models" / "ct_tissue.dhm")
SIZES = ("--shape", "N=1", "--shape", "H=8", "--shape", "W=8")
SLOW = 'import time; print("ready", flush=True); time.sleep(60)'

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a folder of temporary files that this test alone uses."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("DHC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["dhc", *words])
        with pytest.raises(SystemExit) as caught:
            cli._guard(lambda: cli.app(words))
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Outcome(caught.value.code, captured.out, captured.err)

    return run


def _compile(tmp_path: Path) -> tuple[object, ...]:
    return ("compile", TISSUE, "Tissue", *SIZES, "-o", tmp_path / "t.dhx")


# ---- version and logs ----------------------------------------------------------------------------


def test_version(run: Run) -> None:
    assert run("--version") == Outcome(0, f"dhc {version('dhc')}\n", "")


def test_a_quiet_command_says_nothing_on_the_side(run: Run, tmp_path: Path) -> None:
    assert run(*_compile(tmp_path)).err == ""


def test_verbose_tells_of_passes_cache_and_time(run: Run, tmp_path: Path) -> None:
    first = run("-v", *_compile(tmp_path)).err.splitlines()
    assert any(re.fullmatch(r"info: The program \w+ is not in the cache\.", s) for s in first)
    pattern = r"info: Pass 'canonicalize' took [\d.]+ ms and made \d+ nodes of \d+\."
    assert any(re.fullmatch(pattern, line) for line in first)
    assert re.fullmatch(r"info: Compiling 'Tissue' for cpu took [\d.]+ s\.", first[-1])
    second = run("--verbose", *_compile(tmp_path)).err.splitlines()
    assert len(second) == 1
    assert second[0].endswith("is taken from the cache.")


def test_more_verbose_tells_details(run: Run, tmp_path: Path) -> None:
    assert re.search(r"debug: The plan has \d+ steps", run("-vv", *_compile(tmp_path)).err)
    assert logging.getLogger("dhc").level == logging.DEBUG
    run("--version")
    run("cache")
    assert logging.getLogger("dhc").level == logging.WARNING
    assert len(logging.getLogger("dhc").handlers) == 1


def test_a_terminal_gets_rich_lines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.logging import RichHandler

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run("-v", *_compile(tmp_path))
    assert isinstance(logging.getLogger("dhc").handlers[0], RichHandler)


# ---- dumps ---------------------------------------------------------------------------------------


def test_a_dump_has_every_stage(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    run(*_compile(tmp_path))  # the program is in the cache now, and still every stage is written
    assert run("--dump", folder, *_compile(tmp_path)).status == 0
    names = sorted(path.name for path in folder.iterdir())
    stages = [name.partition("_")[2] for name in names if name[0].isdigit()]
    assert [int(name[:3]) for name in names if name[0].isdigit()] == list(range(len(stages)))
    assert stages[0] == "program.txt"
    assert stages[-3:] == ["plan.txt", "kernels.txt", "source_Tissue.ll"]
    assert {"canonicalize.txt", "legalise.txt", "prepare.txt", "fuse.txt"} <= set(stages)
    first = (folder / "000_program.txt").read_text().splitlines()
    assert first[0].startswith("# Target(backend='cpu'")
    assert first[1] == "dhc-graph 1"
    assert (folder / "command.txt").read_text().startswith(f"dhc --dump {folder} compile")
    assert f"dhc {version('dhc')}\n" in (folder / "versions.txt").read_text()


def test_a_dump_goes_into_a_new_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    found = run("--dump", tmp_path, *_compile(tmp_path))
    assert found.status == 1
    assert "is not empty" in found.err
    assert not (tmp_path / "t.dhx").exists()


# ---- bugs ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken(Pass):
    name: ClassVar[str] = "broken"

    def __call__(self, graph: Graph) -> Graph:
        raise ZeroDivisionError("nothing to divide by")


@dataclass(frozen=True)
class Wrong(Pass):
    """Doubles every convolution."""

    name: ClassVar[str] = "wrong"

    def __call__(self, graph: Graph) -> Graph:
        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            same = rebuild(node, inputs)
            two = literal(2.0, node.type.dtype)
            return Mul()(same, two) if isinstance(node.op, Conv) else same

        return transform(graph, step)


def _add_pass(monkeypatch: pytest.MonkeyPatch, one: Pass) -> None:
    passes = dhc.driver.COMMON_PASSES
    monkeypatch.setattr(dhc.driver, "COMMON_PASSES", (passes[0], one, *passes[1:]))


def test_a_bug_is_explained_and_dumped(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add_pass(monkeypatch, Broken())
    found = run(*_compile(tmp_path))
    assert (found.status, found.out) == (3, "")
    assert "Traceback" not in found.err
    assert "This is a bug in dhc" in found.err
    assert "ZeroDivisionError: nothing to divide by, in the pass 'broken'" in found.err
    (folder,) = (tmp_path / "temporary").iterdir()
    assert str(folder) in found.err
    names = sorted(path.name for path in folder.iterdir())
    assert names[:2] == ["000_program.txt", "001_join_scans.txt"]
    assert names[2:] == ["command.txt", "error.txt", "versions.txt"]
    assert "Traceback" in (folder / "error.txt").read_text()
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    assert not (tmp_path / "t.dhx").exists()


def test_a_bug_completes_the_dump_that_was_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add_pass(monkeypatch, Broken())
    found = run("--dump", tmp_path / "dump", *_compile(tmp_path))
    assert found.status == 3
    assert (tmp_path / "dump" / "error.txt").exists()
    assert (tmp_path / "dump" / "000_program.txt").exists()
    assert not list((tmp_path / "temporary").iterdir())


def test_a_bug_is_reported_even_where_nothing_can_be_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add_pass(monkeypatch, Broken())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    found = run(*_compile(tmp_path))
    assert found.status == 3
    assert "No dump was written" in found.err


def test_a_bug_before_any_compilation(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyError("surprise")

    monkeypatch.setattr("dhc.commands.check.check_files", fail)
    found = run("check", TISSUE)
    assert found.status == 3
    assert "KeyError: 'surprise'" in found.err


# ---- limits of the system ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "There is not enough memory."),
        (OSError(28, "No space left on device"), "A file cannot be used: no space left on device."),
        (PermissionError(13, "Permission denied", "/x"), "'/x' cannot be used: permission denied."),
    ],
)
def test_limits_of_the_system_are_no_bugs(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("dhc.commands.check.check_files", fail)
    found = run("check", TISSUE)
    assert found.status == 1
    assert text in found.err


def test_an_output_that_is_a_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.dhx").mkdir()
    found = run(*_compile(tmp_path))
    assert found.status == 1
    assert "t.dhx' cannot be used: is a directory." in found.err


def test_images_of_a_wrong_size_are_no_bug(run: Run, tmp_path: Path) -> None:
    text = "dhm 1\nmodel M() { input x: f32[N, 1, H, H] output y = x -> relu() }\n"
    (tmp_path / "m.dhm").write_text(text)
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 4), np.float32))
    found = run("run", tmp_path / "m.dhm", "M", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert found.status == 1
    assert "Size H is 3 and, in 'x', 4." in found.err


# ---- checks of numerics --------------------------------------------------------------------------


def test_a_pass_that_changes_results_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resnet = ROOT / "models" / "resnet.dhm"
    sizes = ("--shape", "N=1", "--shape", "H=32", "--shape", "W=32")
    command = ("compile", resnet, "ResNet18", *sizes, "-o", tmp_path / "r.dhx")
    _add_pass(monkeypatch, Wrong())
    found = run("--check-numerics", *command)
    assert found.status == 3
    assert "The pass 'wrong' changes what 'ResNet18' computes: 'logits' differs by" in found.err


@pytest.mark.parametrize("target", ["cpu", "opencl", "reference"])
def test_right_passes_are_not_blamed(run: Run, tmp_path: Path, target: str) -> None:
    arguments = (*_compile(tmp_path), "--target", target)
    assert run("--check-numerics", *arguments).status == 0


# ---- signals -------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_no_half_written_file(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    program = f"""
import safetensors.numpy
def slow(arrays):
    {SLOW}
safetensors.numpy.save = slow
from dhc.cli import main
main()
"""
    output = tmp_path / "out" / "t.dhx"
    command = [sys.executable, "-c", program, "compile", TISSUE, "Tissue", "-o", str(output)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(os.listdir(output.parent)) == 1  # the temporary file
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (status, "", "")
    assert os.listdir(output.parent) == []
