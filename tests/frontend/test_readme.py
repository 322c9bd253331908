"""Every example in the language reference is parsed, formatted and checked."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources

import pytest

from dhc.errors import render
from dhc.frontend import check, format_text, load_text
from dhc.frontend.parse import parse
from dhc.metrics import METRICS
from dhc.source import SourceFile

TEXT = resources.files("dhc.grammar").joinpath("README.md").read_text("utf-8")
LIBRARY = resources.files("dhc.grammar").joinpath("std", "losses.dhm").read_text("utf-8")
OPERATORS = ["mse", "mae", "huber", "hinge", "cross_entropy", "binary_cross_entropy", "ctc"]
LOSSES = [*OPERATORS, *re.findall(r"block (\w+_loss)\(", LIBRARY)]
EXAMPLES = re.findall(r"```(dhm|dhm-later)\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_example(kind: str, text: str) -> None:
    parse(SourceFile("README.md", text))
    assert format_text(text) == text
    if kind == "dhm":  # the others wait for operators that do not exist yet
        assert render(check(load_text(text)).diagnostics) == ""


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_is_described_with_its_arguments(name: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if re.match(rf"\|.*`{name}`.*\|.*\|.*\|$", line)]
    arguments = row.split("|")[3]
    for field in dataclasses.fields(METRICS[name]):  # type: ignore[arg-type]
        assert re.search(rf"`{field.name}\b", arguments), field.name


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_described(name: str) -> None:
    assert f"`{name}(" in TEXT


def test_every_block_of_code_is_an_example() -> None:
    fences = re.findall(r"^```(\S+)", TEXT, re.MULTILINE)
    assert set(fences) <= {"dhm", "dhm-later"}
    assert len(fences) >= 10
