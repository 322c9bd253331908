"""Folding long lines of printed text."""

from __future__ import annotations

from dhc.backends.fold import WIDTH, fold

WORD = "a_rather_long_name"


def test_short_lines_stay() -> None:
    assert fold("x = a + b;", "    ") == ["    x = a + b;"]


def test_the_loosest_operator_is_where_a_line_ends() -> None:
    factors = " * ".join([WORD] * 3)
    assert fold(f"x = {factors} + {factors};", "  ") == [f"  x = {factors}", f"      + {factors};"]


def test_arguments_too_long_for_the_first_line_start_the_next() -> None:
    first = f"{WORD} * {WORD} * {WORD} + {WORD}[i0 * 3 + 1]"
    assert fold(f"total = fma({first}, b, total)", "", inside=True) == [
        "total = fma(",
        f"    {first},",
        "    b, total)",
    ]


def test_python_is_folded_only_inside_brackets() -> None:
    line = "x = " + " + ".join([WORD] * 9)
    assert fold(line, "", inside=True) == [line]
    folded = fold(f"x = ({line[4:]})", "", inside=True)
    assert len(folded) > 1
    assert all(len(part) <= WIDTH for part in folded)


def test_nothing_but_spaces_changes() -> None:
    words = [f"f{k}({WORD}[i * {k} + 1], {k} if a < {k} else b)" for k in range(12)]
    text = f"x = ({' * '.join(words)})"
    folded = fold(text, "        ")
    assert all(len(line) <= WIDTH for line in folded)
    assert " ".join(line.strip() for line in folded).replace("( ", "(") == text
