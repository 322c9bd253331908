import json

import pytest

from dhc.errors import DhcError, Diagnostic, Related, did_you_mean, render, to_json
from dhc.source import SourceFile, Span, decode_source, read_source

TEXT = "a\n    d2  = (d3,  e1) -> up(2*width)\nend"


def span_of(file: SourceFile, piece: str) -> Span:
    start = file.text.index(piece)
    return Span(file, start, start + len(piece))


def test_look_of_a_shape_error() -> None:
    file = SourceFile("models/lung.dhm", TEXT)
    diagnostic = Diagnostic(
        "shape-mismatch",
        "'concat' needs equal sizes on every axis but C.",
        span_of(file, "up(2*width)"),
        "inside block 'up', axis H: 128 from upsample, 256 from 'skip'",
        (Related(span_of(file, "e1"), "'e1' is f32[N, 32, 256, 256]"),),
        hints=("the skip of that size is 'e2'; did you mean (d3, e2)?",),
    )
    assert render([diagnostic]) == (
        "models/lung.dhm:2:24: error[shape-mismatch]: "
        "'concat' needs equal sizes on every axis but C.\n"
        "    2 |     d2  = (d3,  e1) -> up(2*width)\n"
        "      |                 --     ^^^^^^^^^^^ "
        "inside block 'up', axis H: 128 from upsample, 256 from 'skip'\n"
        "      |                 'e1' is f32[N, 32, 256, 256]\n"
        "hint: the skip of that size is 'e2'; did you mean (d3, e2)?"
    )


def test_marks_on_several_lines_and_files() -> None:
    file = SourceFile("a.dhm", "one\ntwo\nthree\nfour")
    other = SourceFile("b.dhm", "five")
    related = (Related(span_of(file, "one"), "first"), Related(span_of(other, "five"), "there"))
    text = render([Diagnostic("c", "Wrong.", span_of(file, "four"), "here", related, ("fact",))])
    assert text == (
        "a.dhm:4:1: error[c]: Wrong.\n    1 | one\n      | --- first\n      ...\n"
        "    4 | four\n      | ^^^^ here\n      --> b.dhm\n    1 | five\n      | ---- there\n"
        "note: fact"
    )


def test_span_over_several_lines_is_marked_to_the_end_of_its_first() -> None:
    file = SourceFile("a.dhm", "ab(cd\nef)")
    assert "\n      |   ^^^\n" in render([Diagnostic("c", "m.", Span(file, 2, 9))]) + "\n"


def test_wide_characters_and_tabs_keep_marks_in_place() -> None:
    file = SourceFile("a.dhm", "\t肺 x")
    shown = render([Diagnostic("c", "m.", span_of(file, "x"))]).splitlines()
    assert shown[1] == "    1 |     肺 x"
    assert shown[2] == "      |        ^"  # the wide character takes two columns


def test_terminal_control_characters_are_never_printed() -> None:
    file = SourceFile("a\x1b.dhm", "x \x1b[31m y\u202e")
    assert "\x1b" not in render([Diagnostic("c", "bad \x1b[1m.", span_of(file, "x"), "\x1b")])


def test_long_lines_are_cut_around_the_mark() -> None:
    file = SourceFile("a.dhm", "x" * 5000 + "!" + "y" * 5000)
    lines = render([Diagnostic("c", "m.", span_of(file, "!"))]).splitlines()
    assert len(lines[1]) < 200
    assert lines[1][lines[2].index("^")] == "!"


def test_empty_span_at_the_end_shows_one_caret() -> None:
    file = SourceFile("a.dhm", "abc")
    assert render([Diagnostic("c", "m.", Span(file, 3, 3))]).endswith("      |    ^")


def test_no_span() -> None:
    assert render([Diagnostic("c", "m.", hints=("try",))]) == "error[c]: m.\nhint: try"


def test_color_changes_only_escapes() -> None:
    import re

    file = SourceFile("a.dhm", TEXT)
    item = [Diagnostic("c", "m.", span_of(file, "e1"), "label")]
    assert re.sub(r"\x1b\[[\d;]*m", "", render(item, color=True)) == render(item)


def test_error_carries_one_or_many() -> None:
    one = Diagnostic("c", "m.")
    assert DhcError(one).diagnostics == (one,)
    assert DhcError([one, one]).diagnostics == (one, one)
    assert str(DhcError([one, one])) == "error[c]: m.\n\nerror[c]: m."


def test_json_is_plain() -> None:
    file = SourceFile("a.dhm", TEXT)
    item = Diagnostic("c", "m.", span_of(file, "e1"), related=(Related(span_of(file, "d3"), "r"),))
    [record] = json.loads(json.dumps(to_json([item])))
    assert (record["line"], record["column"], record["end_column"]) == (2, 17, 19)
    assert record["related"][0]["label"] == "r"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("kernal", "kernel"), ("Conv", "conv"), ("zzz", None), ("maxpol", "maxpool")],
)
def test_did_you_mean(name: str, expected: str | None) -> None:
    assert did_you_mean(name, ["kernel", "conv", "maxpool", "stride"]) == expected


def test_positions() -> None:
    file = SourceFile("a", "ab\r\nc\n")
    assert [file.position(i) for i in (0, 2, 4, 6, 99)] == [(1, 1), (1, 3), (2, 1), (3, 1), (3, 1)]
    assert [file.line(n) for n in (1, 2, 3)] == ["ab", "c", ""]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"dhm 1\n\x00", "not-text"),
        (b"dhm 1\n caf\xe9", "not-utf8"),
        (b" " * (1 << 20) + b"x", "file-too-large"),
    ],
)
def test_files_that_are_not_text(data: bytes, code: str) -> None:
    with pytest.raises(DhcError) as caught:
        decode_source("a.dhm", data)
    assert [item.code for item in caught.value.diagnostics] == [code]


def test_missing_file() -> None:
    with pytest.raises(DhcError, match="no such file"):
        read_source("/nonexistent/a.dhm")


def test_byte_order_mark_is_dropped() -> None:
    assert decode_source("a", "\ufeffdhm 1".encode()).text == "dhm 1"
