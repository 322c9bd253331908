"""What a person sees of a run: plain lines in a file, a bar on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from dhc.runtime.reporting.progress import ShowProgress, show_work
from dhc.runtime.reporting.records import RunPlan


def _console(terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=100, highlight=False), stream


def test_work_is_one_line_in_a_file() -> None:
    console, stream = _console(terminal=False)
    with show_work("Making the synthetic data set 'lung'", 3, console) as tell:
        for done in range(3):
            tell(done + 1)
    assert stream.getvalue() == "Making the synthetic data set 'lung' ...\n"


def test_work_is_a_bar_on_a_terminal() -> None:
    console, stream = _console(terminal=True)
    with show_work("Making a phantom", 4, console) as tell:
        tell(2)
    assert "Making a phantom" in stream.getvalue()
    assert "50%" in stream.getvalue()


def test_a_run_says_whether_its_data_are_synthetic() -> None:
    lines = []
    for synthetic in (False, True):
        console, stream = _console(terminal=False)
        plan = RunPlan("lung", 3, 5, {"train": 20, "val": 4}, synthetic)
        ShowProgress(console).started(plan, 0)
        lines.append(stream.getvalue())
    assert lines == [
        "lung: 20 train, 4 val samples, 3 epochs\n",
        "lung: 20 train, 4 val synthetic samples, 3 epochs\n",
    ]
