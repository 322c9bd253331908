"""HTML and SVG from values. Whatever is not markup already is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

Attribute = str | float | bool | None

_VOID = frozenset(("br", "hr", "img", "meta", "path", "rect", "line", "circle", "col"))


class Markup(str):
    """Text that is markup; all other text is escaped where it is put into markup."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: Attribute) -> Markup:
    """Returns an element.

    Args:
        name: Of the element.
        content: Text, which is escaped, or markup.
        attributes: By name, `_` standing for `-`, and a last one keeping it apart from a word of
            Python, as in `class_`; those that are None or False are left out.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not content:
        return Markup(f"<{name}{given}>" if name in ("br", "hr", "img") else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Returns parts one after another, text escaped."""
    return Markup("".join(escape(part) for part in parts))


def escape(text: str) -> Markup:
    """Returns text as markup; markup as it is. Characters that no page may hold are replaced."""
    if isinstance(text, Markup):
        return text
    if not text.isprintable():
        text = "".join(
            c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
        )
    return Markup(html.escape(text, quote=True))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = short(value) if isinstance(value, float | int) else value
    return f' {name}="{escape(text)}"'


def short(value: float) -> str:
    """Returns a coordinate, as short as a picture needs it."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", class_: str = ""
) -> Markup:
    """Returns a table whose first column names the rows; numbers are aligned right."""
    given = [list(row) for row in rows]
    numeric = [all(_is_number(row[k]) for row in given) for k in range(len(columns))]
    kinds = ["number" if each and k else None for k, each in enumerate(numeric)]
    heads = [tag("th", c, scope="col", class_=kind) for c, kind in zip(columns, kinds, strict=True)]
    body = [
        tag("tr", *(
            tag("td" if k else "th", cell, class_=kinds[k], scope=None if k else "row")
            for k, cell in enumerate(row)
        ))
        for row in given
    ]  # fmt: skip
    title = [tag("caption", caption)] if caption else []
    content = tag("table", *title, tag("thead", tag("tr", *heads)), tag("tbody", *body))
    return tag("div", content, class_=f"table {class_}".strip())


def _is_number(text: str) -> bool:
    return not text or bool(re.match(r"[-+\u2212]?\d|\u2013$", text))
