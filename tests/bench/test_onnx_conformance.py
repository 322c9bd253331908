"""The table of ONNX's conformance tests: what it says, and that the committed one is not old."""

from __future__ import annotations

import re
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from dhc.errors import DhcError, Diagnostic

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The folder bench/ is no installed package."""
    monkeypatch.syspath_prepend(str(ROOT))
    return import_module("bench.onnx_conformance")


def _node(rest: str) -> str:
    return f"The node 'n' of Pad (version 18) cannot be read: {rest}."


@pytest.mark.parametrize(
    ("message", "operator", "reason"),
    [
        (_node("it pads with 'odd' values"), "Pad", "it pads with 'odd' values"),
        (_node(f"of what it is made of: {_node('it is odd')}"), "Pad", "it is odd"),
        (
            "The input 'x' has elements of STRING, a type that dhc has not.",
            "Add",
            "The input has elements of STRING, a type that dhc has not",
        ),
        (
            "Layer 'y' has f16 values, which 'opencl' cannot compute: the device 'a' has no fp16.",
            "Add",
            "Layer has f16 values, which 'opencl' cannot compute: the device has no fp16",
        ),
        (
            "'x' has f16 values, which 'opencl' cannot compute.",
            "Add",
            "A value has f16 values, which 'opencl' cannot compute",
        ),
    ],
)
def test_reasons_have_no_names_of_one_model(
    message: str, operator: str, reason: str, script: ModuleType
) -> None:
    error = DhcError(Diagnostic("onnx", message))
    assert script.reason_of(error, "Add") == (operator, reason)


def test_the_table_says_what_each_target_does(script: ModuleType) -> None:
    right, refused = script.Outcome("test_a", "right"), ("refused", "Pad", "it is odd")
    reference = {"node": [right, script.Outcome("test_b", *refused)]}
    other = {"node": [script.Outcome("test_a", *refused), script.Outcome("test_b", *refused)]}
    lines = script.report({"reference": reference, "cpu": reference, "opencl": other}).splitlines()
    assert "| node | reference | 2 | 1 | 1 | 0 |" in lines
    assert "| node | opencl | 2 | 0 | 2 | 0 |" in lines
    first, second, third = (k for k, line in enumerate(lines) if line.startswith("## "))
    assert lines[first:second][-2] == "| it is odd | Pad | 1 | b |"
    assert lines[second:third][-2] == "Nothing."
    assert lines[-1] == "| it is odd | Pad | 1 | a |"


def test_what_is_wrong_is_told(script: ModuleType) -> None:
    wrong = script.Outcome("test_a", "wrong", reason="KeyError: 3")
    assert script.refusals({"node": [wrong]})[-1] == "| WRONG: KeyError: 3 |  | 1 | a |"


def test_what_takes_too_long_is_ended(script: ModuleType) -> None:
    with pytest.raises(TimeoutError, match="more than 1 seconds"), script.limited(1):
        time.sleep(60)


@pytest.mark.slow
def test_the_committed_table_says_what_is_refused(script: ModuleType) -> None:
    """If this fails: `python -m bench.onnx_conformance`, and read what has changed."""
    text = script.FILE.read_text(encoding="utf-8")
    version = script.versions(["onnx"])["onnx"]
    if f"onnx {version}," not in text:
        pytest.skip(f"the table is not of onnx {version}")
    written = re.split(r"^## .*\n\n", text, flags=re.MULTILINE)[1]
    found = script.run(script.suites(), "reference")
    assert written.strip().splitlines() == script.refusals(found)
