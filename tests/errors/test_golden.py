"""Every case in cases/: NAME.dhm is wrong, NAME.expected is what the user reads about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dhc.errors import DhcError, render
from dhc.frontend import check, load

CASES = Path(__file__).with_name("cases")
NAMES = sorted(path.stem for path in CASES.glob("*.dhm"))


def diagnose(path: Path) -> str:
    try:
        found = check(load(path)).diagnostics
    except DhcError as error:
        found = list(error.diagnostics)
    return f"{render(found)}\n" if found else "no error\n"


@pytest.mark.parametrize("name", NAMES)
def test_message(
    name: str, monkeypatch: pytest.MonkeyPatch, check_golden: Callable[[Path, str], None]
) -> None:
    monkeypatch.chdir(CASES)
    text = diagnose(Path(f"{name}.dhm"))
    assert text != "no error\n"
    check_golden(CASES / f"{name}.expected", text)


def test_there_are_at_least_sixty_cases() -> None:
    assert len(NAMES) >= 60
