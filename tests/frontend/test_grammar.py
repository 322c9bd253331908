import importlib.util
import logging
from importlib import resources

import pytest
from lark import Lark, logger

from dhc.errors import DhcError, Diagnostic, render
from dhc.frontend import ast
from dhc.frontend.parse import MAX_DEPTH, grammar, parse
from dhc.source import SourceFile

TEXT = resources.files("dhc.grammar").joinpath("dhm.lark").read_text("utf-8")


def module(text: str) -> ast.Module:
    return parse(SourceFile("a.dhm", text))


def value(text: str) -> ast.Expression:
    item = module(f"let a = {text}").items[0]
    assert isinstance(item, ast.Let)
    return item.value


def statements(text: str) -> tuple[ast.Statement, ...]:
    item = module(f"block b() {{ {text} }}").items[0]
    assert isinstance(item, ast.Definition)
    return item.body.statements


def test_grammar_is_lalr_without_conflicts_or_priorities(caplog: pytest.LogCaptureFixture) -> None:
    strict = importlib.util.find_spec("interegular") is not None
    caplog.set_level(logging.DEBUG, logger.name)
    level, logger.level = logger.level, logging.DEBUG
    logger.addHandler(caplog.handler)
    try:
        Lark(TEXT, parser="lalr", strict=strict, debug=True)
    finally:
        logger.removeHandler(caplog.handler)
        logger.level = level
    assert "conflict" not in caplog.text.lower()
    rules = [line for line in TEXT.splitlines() if not line.startswith("//")]
    assert not any(f".{digit}:" in line for line in rules for digit in range(10))


def test_grammar_is_loaded_once_and_never_stored() -> None:
    assert grammar() is grammar()
    assert grammar().options.cache is False


def test_every_kind_of_item() -> None:
    text = """dhm 1
    import "std/blocks.dhm"
    import "a.dhm" as a
    let x = 1
    fn f(a, b = 2) = a + b
    share encoder = resnet()
    block b(c,) { relu() }
    model m() { output x }
    pipeline p(im: image[3], lesion: mask) { crop(2, 3) }
    app n { input s: dicom_series(modality="CT") output s }
    train t { model = m() distribute { mode = ring() } }
    target e { backend = cpu() }
    study s { candidates = [t] }
    """
    kinds = [type(item).__name__ for item in module(text).items]
    assert (
        kinds
        == ["Import"] * 2
        + ["Let", "Function", "Share"]
        + ["Definition"] * 4
        + ["Configuration"] * 3
    )
    assert module(text).version == 1


def test_every_kind_of_statement() -> None:
    found = statements(
        """input x: f32[N, C=?, H=h2, 3]
        a, b = x -> split()
        let n = 2
        share e = m()
        if n > 1 { y = a } else if n > 2 { y = b } else { y = x }
        for i, k in [1, 2] { y = y -> conv(k) }
        repeat n - 1 { y = y -> relu() }
        z = scan t in y with h = zeros(3), c = zeros(3) { carry h = t yield h yield o = c }
        oneof(p=0.5) { blur() sharpen() }
        a.b() -> c
        output y
        output named = z"""
    )
    names = [type(s).__name__ for s in found]
    assert names == [
        "Input", "Assign", "Let", "Share", "If", "For", "Repeat", "Assign", "OneOf", "Stages",
        "Output", "Output",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("2 ^ 3 ^ 4", "2 ^ (3 ^ 4)"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("2 ^ -1", "2 ^ (-1)"),
        ("a or b and not c == d", "a or (b and (not (c == d)))"),
        ("1 + 2 .. 3 * 4", "(1 + 2) .. (3 * 4)"),
        ("if a then b else c + d", "if a then b else (c + d)"),
        ("a.b.c(1)[2].d", "((((a.b).c)(1))[2]).d"),
        ("7 // 2 * 3", "(7 // 2) * 3"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert value(text) == value(grouped)


def test_words_that_begin_items_are_names_elsewhere() -> None:
    found = statements("model = train -> block() target, app = f(model=study, input=output)")
    assert len(found) == 2
    settings = module("train train { model = a train = 4 target { app = 1 } }").items[0]
    assert isinstance(settings, ast.Configuration)
    assert [entry.name.text for entry in settings.settings.entries] == ["model", "train", "target"]


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("3", 3, ""),
        ("1.5e-3", 0.0015, ""),
        ("20deg", 20, "deg"),
        ("7%", 7, "%"),
        ("2e3Hz", 2e3, "Hz"),
    ],
)
def test_numbers_and_units(text: str, number: float, unit: str) -> None:
    node = value(text)
    assert isinstance(node, ast.Number)
    assert (node.value, node.unit) == (number, unit)
    assert type(node.value) is type(number)


def test_strings() -> None:
    assert value(r'"a \"b\" \\ \n#"') == ast.String(value("1").span, 'a "b" \\ \n#')


def test_parentheses_group_and_commas_make_tuples() -> None:
    assert isinstance(value("(1)"), ast.Number)
    assert value("(1,)") == ast.Tuple(value("1").span, (value("1"),))
    assert value("[1, 2,]") == value("[1, 2]")


def test_types() -> None:
    definition = module("pipeline p(a: image[3], b: mask, c: f32[], d: t(x=1)) {}").items[0]
    assert isinstance(definition, ast.Definition)
    types = [parameter.type for parameter in definition.parameters]
    assert [t and t.dims and len(t.dims) for t in types] == [1, None, (), None]
    assert types[3] is not None
    assert len(types[3].arguments) == 1


def test_spans_point_at_the_text() -> None:
    chain = value("x -> conv(3, kernel=1)")
    assert isinstance(chain, ast.Chain)
    assert chain.source.span.text == "x"
    assert chain.stages[0].span.text == "conv(3, kernel=1)"
    call = chain.stages[0]
    assert isinstance(call, ast.Call)
    assert call.arguments[1].span.text == "kernel=1"


DEEP = {
    "parentheses": "let a = " + "(" * 5000 + "1" + ")" * 5000,
    "lists": "let a = " + "[" * 5000 + "]" * 5000,
    "blocks": "block b() " + "{ if x " * 5000,
    "signs": "let a = " + "- " * 5000 + "1",
    "sums": "let a = 1" + " + 1" * 5000,
    "powers": "let a = 1" + " ^ 1" * 5000,
    "indices": "let a = b" + "[0]" * 5000,
    "members": "let a = b" + ".c" * 5000,
    "choices": "let a = " + "if x then 1 else " * 5000 + "2",
    "else-if": "block b() { if x {}" + " else if x {}" * 5000 + "}",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_deep_nesting_is_a_diagnostic(text: str) -> None:
    with pytest.raises(DhcError, match=f"limit is {MAX_DEPTH} levels") as caught:
        module(text)
    assert caught.value.diagnostics[0].span is not None


def test_one_error_for_each_broken_item() -> None:
    text = "model A() { x = }\nlet ok = 1\nmodel B() { y = (3 }\nlet c = $\n"
    with pytest.raises(DhcError) as caught:
        module(text)
    lines = [str(item.span).split(":")[1] for item in caught.value.diagnostics]
    assert lines == ["1", "3", "4"]


def test_many_errors_are_cut() -> None:
    with pytest.raises(DhcError) as caught:
        module("let a =\n" * 100)
    assert len(caught.value.diagnostics) == 10


@pytest.mark.parametrize("length", range(0, 700, 7))
def test_truncated_files_give_diagnostics(length: int) -> None:
    text = """dhm 1
model UNet(classes = 1) {
    input ct: f32[N, 1, H, W]
    e1 = ct -> conv(3, kernel=[3, 3]) -> relu()
    for i, n in [1, 2] { x = if i > 0 then e1 else ct }
    y = scan t in x with h = zeros(3) { carry h = t yield h }
    output nodule = (e1, y) -> concat(axis=C)
}
pipeline p(ct: image[1]) { oneof(p=50%) { gamma(0.7 .. 1.4) } }
train t { loss = dice(out.x, data.y) distribute { mode = ring() } }
app a { input s: dicom_series(modality="CT") output s -> f(a.b, "x") }
"""[:length]
    found: tuple[Diagnostic, ...] = ()
    try:
        module(text)
    except DhcError as error:
        found = error.diagnostics
    assert all(item.span is not None for item in found)
    shown = render(found)
    assert all(word not in shown for word in ("__ANON", "RPAR", "NAME", "Token"))
