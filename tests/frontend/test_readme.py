"""Every example in the language reference is parsed, formatted and checked."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from dhc.errors import render
from dhc.frontend import check, format_text, load_text
from dhc.frontend.parse import parse
from dhc.source import SourceFile

TEXT = resources.files("dhc.grammar").joinpath("README.md").read_text("utf-8")
EXAMPLES = re.findall(r"```(dhm|dhm-later)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_example(kind: str, text: str) -> None:
    parse(SourceFile("README.md", text))
    assert format_text(text) == text
    if kind == "dhm":  # the others wait for operators that do not exist yet
        assert render(check(load_text(text)).diagnostics) == ""


def test_every_block_of_code_is_an_example() -> None:
    fences = re.findall(r"^```(\S+)", TEXT, re.MULTILINE)
    assert set(fences) <= {"dhm", "dhm-later"}
    assert len(fences) >= 10
