import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from dhc.errors import DhcError
from dhc.frontend.format import format_text
from dhc.frontend.parse import parse
from dhc.frontend.tokens import tokenize
from dhc.source import SourceFile

_spec = importlib.util.spec_from_file_location("generate", Path(__file__).with_name("generate.py"))
assert _spec is not None
assert _spec.loader is not None
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


def comments(text: str) -> list[str]:
    return [t.text.lstrip("#").strip() for t in tokenize(text) if t.kind == "comment"]


# No shrinking: it takes minutes here, and a failing text is short enough to read as it is.
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(generate.programs())
def test_formatting_keeps_meaning_and_comments_and_is_stable(text: str) -> None:
    module = parse(SourceFile("a.dhm", text))
    formatted = format_text(text)
    again = parse(SourceFile("a.dhm", formatted))
    assert (again.version, again.items) == (module.version, module.items)
    assert comments(formatted) == comments(text)
    assert format_text(formatted) == formatted
    assert all(line == line.rstrip() for line in formatted.splitlines())


UGLY = """dhm 1
import "std/losses.dhm"   as  losses
let a=-1 # minus
fn f( c )=max( 8,floor((c+4)/8)*8 )
block up ( c ) { # header
# inside
   input x : f32 [N , C=? , H,W]


   output ( x->upsample(2,mode = bilinear,) , skip )->concat( axis=C )   # join
     -> conv2x(c)}
model M(){ output x }
train t { a=1 b = -2^2 distribute{mode=x()  } }
target e { backend = cpu() }
pipeline p(i:image[3]) { oneof{ gamma(0.5..1.5) blur() }
  if a { x() } else { y() }
  if a { x() }   # why
  else { y() } }
"""

PRETTY = """dhm 1
import "std/losses.dhm" as losses
let a = -1  # minus
fn f(c) = max(8, floor((c + 4) / 8) * 8)
block up(c) {  # header
    # inside
    input x: f32[N, C=?, H, W]

    output (x -> upsample(2, mode=bilinear), skip) -> concat(axis=C)  # join
        -> conv2x(c)
}

model M() { output x }
train t {
    a = 1
    b = -2^2
    distribute { mode = x() }
}

target e { backend = cpu() }
pipeline p(i: image[3]) {
    oneof {
        gamma(0.5 .. 1.5)
        blur()
    }
    if a { x() } else { y() }
    if a { x() }  # why
    else { y() }
}
"""


def test_canonical_form() -> None:
    assert format_text(UGLY) == PRETTY
    assert format_text(PRETTY) == PRETTY


def test_breaks_inside_expressions_stay_and_are_indented() -> None:
    text = "let a = [\n1, # one\n  f(\n2,\n),\n]\nlet b = 1 +\n2\n"
    expected = "let a = [\n    1,  # one\n    f(\n        2,\n    ),\n]\nlet b = 1 +\n    2\n"
    assert format_text(text) == expected


def test_body_on_one_line_opens_where_it_would_be_too_wide() -> None:
    long_name = "x" * 60
    text = f"model M() {{ output {long_name} -> relu() -> relu() -> relu() -> relu() }}\n"
    lines = format_text(text).splitlines()
    assert lines[0] == "model M() {"
    assert lines[2] == "}"


def test_empty_and_comment_only_files() -> None:
    assert format_text("") == ""
    assert format_text("\n\n#a\n\n\n#  b") == "# a\n\n#  b\n"


def test_syntax_errors_are_reported() -> None:
    with pytest.raises(DhcError, match="expected a value"):
        format_text("let a = ")
