"""Random graphs, on every target and through ONNX: all of it agrees with the meaning in float64.

A failure prints the number of the graph, and a small graph that still fails. What has been found so
far stands in test_found.py. The long run is `DHC_RANDOM_GRAPHS=1000 pytest -m slow -k test_many`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.random_graphs.check import report
from tests.random_graphs.programs import built, read_again, through_runtime

MANY = int(os.environ.get("DHC_RANDOM_GRAPHS", "400"))  # a thousand take five minutes
CHUNK = 25
EVERY = 4  # OpenCL takes several times as long to compile as all else


def _problems(first: int, count: int, folder: Path, compiled: bool) -> str:
    programs = {
        "reference": built("reference"),
        "again": read_again(folder),
        "runtime": through_runtime(folder),
    }
    if compiled:
        programs["cpu"] = built("cpu")
    on_opencl = {"opencl": built("opencl")} if compiled else {}
    return "\n".join(
        text
        for number in range(first, first + count)
        for text in report(number, programs | ({} if number % EVERY else on_opencl))
    )


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_evaluated_and_written(tmp_path: Path, first: int) -> None:
    assert not _problems(first, 20, tmp_path, compiled=False)


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_compiled(tmp_path: Path, first: int) -> None:
    assert not _problems(first, 8, tmp_path, compiled=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, MANY, CHUNK))
def test_many(tmp_path: Path, first: int) -> None:
    assert not _problems(first, CHUNK, tmp_path, compiled=True)
