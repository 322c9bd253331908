"""Compile-time values: arithmetic, functions, and the limits of what a file may compute."""

from __future__ import annotations

import time

import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.frontend.limits import MAX_MISTAKES
from dhc.frontend.values import Quantity, Value


def value(expression: str, before: str = "") -> Value:
    return load_text(f"{before}\nlet result = {expression}").find("result")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("7 // 2", 3),
        ("8 / 2", 4),
        ("7 / 2", 3.5),
        ("2 ^ 10", 1024),
        ("2 ^ -1", 0.5),
        ("-2 ^ 2", -4),
        ("1 < 2 and not 3 == 4", True),
        ("true or undefined_never_evaluated == 1", None),
        ("if 1 > 2 then 3 else 4", 4),
        ('"a" + "b"', "ab"),
        ("[1, 2] + [3]", (1, 2, 3)),
        ("[[1, 2], [3]][0][-1]", 2),
        ("7%", 0.07),
        ("max(8, floor((30 + 4) / 8) * 8)", 32),
        ("round(2.5)", 3),
        ("len([1, 2, 3]) + sum([1, 2])", 6),
        ("range(2, 5)", (2, 3, 4)),
        ("append([1], 2)", (1, 2)),
        ("log2(8)", 3.0),
        ("1 == true", False),
    ],
)
def test_expressions(expression: str, expected: Value) -> None:
    if expected is None:
        with pytest.raises(DhcError, match="undefined_never_evaluated"):
            value(expression)
        return
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("20deg", Quantity(20, "deg")),
        ("2 * 10deg - 5deg", Quantity(15, "deg")),
        ("0.5cm", Quantity(5, "mm")),
        ("200MHz", Quantity(200e6, "Hz")),
        ("1s / 10ms", 100.0),
        ("-3px", Quantity(-3, "px")),
    ],
)
def test_units(expression: str, expected: Value) -> None:
    found = value(expression)
    assert found == expected or found == pytest.approx(expected)


def test_functions_have_defaults_and_see_their_file() -> None:
    assert value("f(3) + f(1, b=2)", "let k = 10\nfn f(a, b = a + 1) = a * b + k") == 34


def test_recursion_works_within_limits() -> None:
    assert value("f(20)", "fn f(n) = if n < 2 then 1 else n * f(n - 1)") == 2432902008176640000


def test_items_may_stand_in_any_order() -> None:
    assert value("b + 1", "let b = c * 2\nlet c = 4") == 9


def build(text: str) -> None:
    load_text(text).model("M")


LIMITS = {
    "loop": "block b() { repeat 10^9 { relu() } }"
    " model M() { input x: f32[N] output y = x -> b() }",
    "nested loops": "block b() { repeat 5000 { repeat 5000 { if false { relu() } } } }"
    " model M() { input x: f32[N] output y = x -> b() }",
    "list": "let a = range(10^8)",
    "filled list": "let a = fill(10^8, 0)",
    "doubled lists": "fn twice(l, n) = if n == 0 then l else twice(l + l, n - 1)\n"
    "let a = twice([1], 40)",
    "lists in lists": "fn nest(l, n) = if n == 0 then l else nest([l, l], n - 1)\n"
    "let a = nest([1], 60) == nest([1], 60)",
    "filled lists in lists": "let a = fill(10^4, fill(10^4, 0))",
    "doubled strings": "fn twice(s, n) = if n == 0 then s else twice(s + s, n - 1)\n"
    'let a = twice("a", 40)',
    "power": "let a = 2 ^ (2 ^ 40)",
    "tower": "let a = 9 ^ 9 ^ 9 ^ 9",
    "float": "let a = 1e308 * 10",
    "float power": "let a = 10.5 ^ 400",
    "product": "let a = 10^18 * 10^18",
    "endless recursion": "fn f(n) = f(n + 1)\nlet a = f(0)",
    "exponential recursion": "fn f(n) = if n < 2 then n else f(n - 1) + f(n - 2)\nlet a = f(60)",
    "block in itself": "block b() { b() -> relu() }"
    " model M() { input x: f32[N] output y = x -> b() }",
}


@pytest.mark.parametrize("text", LIMITS.values(), ids=LIMITS.keys())
def test_computing_too_much_is_an_error_with_a_place(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(DhcError) as caught:
        build(text)
    assert time.monotonic() - start < 60  # it is far less; the machine may be busy
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.code in ("limit", "type")


def test_so_many_mistakes_are_reported_and_no_more() -> None:
    text = "\n".join(f"let a{i} = missing{i}" for i in range(1000))
    with pytest.raises(DhcError) as caught:
        load_text(text)
    assert len(caught.value.diagnostics) == MAX_MISTAKES


def test_values_that_depend_on_themselves() -> None:
    with pytest.raises(DhcError, match="depends on itself"):
        load_text("let a = b\nlet b = a")
