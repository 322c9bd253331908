"""Random programs as token lists, laid out with random blanks, newlines and comments."""

from __future__ import annotations

from hypothesis import strategies as st

Tokens = list[str]

NAMES = st.sampled_from(["x", "e1", "skip", "width", "conv", "relu", "model", "train", "_a9"])
NUMBERS = st.sampled_from(["0", "3", "1.5", "1e-3", "20deg", "200MHz", "7%", "0.5mm"])
STRINGS = st.sampled_from(['""', '"a b"', '"say \\"#\\""', '"x -> y"'])
OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "^", "==", "<", ">=", "!=", "and", "or", ".."]
)


def joined(parts: list[Tokens]) -> Tokens:
    return [token for part in parts for token in part]


def separated(parts: list[Tokens], separator: str = ",", trailing: bool = False) -> Tokens:
    tokens: Tokens = []
    for i, part in enumerate(parts):
        tokens += [separator, *part] if i else part
    return [*tokens, separator] if trailing and parts else tokens


@st.composite
def arguments(draw: st.DrawFn, inner: st.SearchStrategy[Tokens]) -> Tokens:
    values = draw(st.lists(inner, max_size=3))
    named = [[draw(NAMES), "=", *value] if draw(st.booleans()) else value for value in values]
    return ["(", *separated(named, trailing=draw(st.booleans())), ")"]


@st.composite
def compound(draw: st.DrawFn, inner: st.SearchStrategy[Tokens]) -> Tokens:
    def one() -> Tokens:
        return draw(inner)

    kind = draw(st.integers(0, 9))
    if kind == 0:
        return ["(", *one(), ")", draw(OPERATORS), "(", *one(), ")"]
    if kind == 1:
        return [draw(NAMES), *draw(arguments(inner))]
    if kind == 2:
        return [draw(NAMES), ".", draw(NAMES), "[", *one(), "]", ".", draw(NAMES)]
    if kind == 3:
        return ["(", "if", draw(NAMES), "then", *one(), "else", *one(), ")"]
    if kind == 4:
        return ["-", "(", *one(), ")"]
    if kind == 5:
        items = draw(st.lists(inner, max_size=3))
        return ["[", *separated(items, trailing=draw(st.booleans())), "]"]
    if kind == 6:
        items = draw(st.lists(inner, min_size=1, max_size=3))
        return ["(", *separated(items), ",", ")"]
    if kind == 7:
        return ["(", *one(), "->", draw(NAMES), *draw(arguments(inner)), ")"]
    if kind == 8:
        return ["not", "(", *one(), ")"]
    return ["(", *one(), ")", "[", *one(), "]", "(", ")"]


EXPRESSIONS = st.recursive(
    st.one_of(NAMES, NUMBERS, STRINGS).map(lambda token: [token]), compound, max_leaves=6
)


@st.composite
def flows(draw: st.DrawFn) -> Tokens:
    tokens = ["(", *draw(EXPRESSIONS), ")"]
    for _ in range(draw(st.integers(0, 2))):
        tokens += ["->", draw(NAMES), *draw(arguments(EXPRESSIONS))]
    return tokens


TYPES = st.sampled_from(
    [
        ["f32", "[", "N", ",", "?", ",", "H", "=", "h2", "]"],
        ["image", "[", "3", "]"],
        ["mask"],
        ["dicom_series", "(", "modality", "=", '"CT"', ")"],
    ]
)


@st.composite
def bodies(draw: st.DrawFn, inner: st.SearchStrategy[Tokens]) -> Tokens:
    return ["{", *joined(draw(st.lists(inner, max_size=3))), "}"]


@st.composite
def simple_statements(draw: st.DrawFn) -> Tokens:
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return ["input", draw(NAMES), ":", *draw(TYPES)]
    if kind == 1:
        return ["output", *draw(flows())]
    if kind == 2:
        return ["output", draw(NAMES), "=", *draw(flows())]
    if kind == 3:
        return [draw(NAMES), "=", *draw(flows())]
    if kind == 4:
        return [draw(NAMES), ",", draw(NAMES), "=", *draw(flows())]
    if kind == 5:
        return ["let", draw(NAMES), "=", *draw(flows())]
    return [draw(NAMES), *draw(arguments(EXPRESSIONS)), "->", draw(NAMES), "(", ")"]


@st.composite
def nested_statements(draw: st.DrawFn, inner: st.SearchStrategy[Tokens]) -> Tokens:
    body = draw(bodies(inner))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return ["repeat", *draw(EXPRESSIONS), *body]
    if kind == 1:
        return ["for", draw(NAMES), ",", draw(NAMES), "in", *draw(EXPRESSIONS), *body]
    if kind == 2:
        return ["oneof", *draw(st.one_of(st.just([]), arguments(EXPRESSIONS))), *body]
    if kind == 3:
        start = [draw(NAMES), "=", *draw(EXPRESSIONS)]
        return ["y", "=", "scan", draw(NAMES), "in", *draw(EXPRESSIONS), "with", *start, *body]
    tokens = ["if", *draw(EXPRESSIONS), *body]
    for _ in range(draw(st.integers(0, 1))):
        tokens += ["else", "if", *draw(EXPRESSIONS), *draw(bodies(inner))]
    if draw(st.booleans()):
        tokens += ["else", *draw(bodies(inner))]
    return tokens


STATEMENTS = st.recursive(simple_statements(), nested_statements, max_leaves=4)


@st.composite
def items(draw: st.DrawFn) -> Tokens:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return ["import", '"std/blocks.dhm"', *draw(st.sampled_from([[], ["as", "blocks"]]))]
    if kind == 1:
        return ["fn", draw(NAMES), "(", draw(NAMES), ")", "=", *draw(EXPRESSIONS)]
    if kind == 2:
        parameter = [draw(NAMES), "=", *draw(EXPRESSIONS)]
        return ["model", draw(NAMES), "(", *parameter, ")", *draw(bodies(STATEMENTS))]
    if kind == 3:
        typed = [draw(NAMES), ":", *draw(TYPES)]
        return ["pipeline", draw(NAMES), "(", *typed, ")", *draw(bodies(STATEMENTS))]
    if kind == 4:
        return ["let", draw(NAMES), "=", *draw(flows())]
    setting = [draw(NAMES), "=", *draw(flows())]
    section = ["distribute", "{", *setting, "}"]
    body = joined(draw(st.lists(st.sampled_from([setting, section]), max_size=3)))
    return [draw(st.sampled_from(["train", "target", "study"])), draw(NAMES), "{", *body, "}"]


GAPS = st.sampled_from([" ", " ", " ", "\n", "\n\n\n", "\t ", " # note\n", "\n#note  \n", "\r\n"])


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Source text of a program that the grammar takes."""
    head: Tokens = draw(st.sampled_from([[], ["dhm", "1"]]))
    tokens = head + joined(draw(st.lists(items(), max_size=4)))
    return "".join(token + draw(GAPS) for token in tokens)
