"""What was run, on what, and how to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath

from dhc.runtime.reporting.files import PROGRAM
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag


def program_section(run: RunFiles) -> Markup:
    """Returns the train block with its defaults, and the files it comes from."""
    parts = []
    if run.resolved:
        parts += [tag("h3", "The train block, defaults included"), _code(run.resolved)]
    for name, text in run.sources.items():
        parts.append(tag("details", tag("summary", tag("code", name)), _code(text)))
    return join(parts) if parts else tag("p", "The run keeps no program.")


def environment_section(run: RunFiles) -> Markup:
    """Returns versions and the machine."""
    rows = [[name, text] for name, text in _flat(run.environment) if text]
    return table(("what", "value"), rows) if rows else tag("p", "The run keeps no environment.")


def reproduce_section(run: RunFiles) -> Markup:
    """Returns commands that train, measure and use the network again."""
    found = run.description
    given = found.get("settings")
    texts = [str(each) for each in given] if isinstance(given, list) else []
    settings = [f"--set {shlex.quote(f'{run.name}.{text}')}" for text in texts]
    target = str(found.get("target", "cpu"))
    chosen = [] if target == "cpu" else [f"--target {shlex.quote(target)}"]
    file = shlex.quote(str(PurePath(str(found.get("data", ""))) / str(found.get("file", ""))))
    train = " ".join(["dhc train", file, shlex.quote(run.name), *settings, *chosen, "--out AGAIN"])
    lines = [
        ("Train again:", train),
        ("In this folder, measure the best weights and write this report again:", "dhc eval ."),
        ("In this folder, use the network on images:", "dhc predict . IMAGE... -o OUT"),
    ]
    parts = [join([tag("dt", text), tag("dd", _code(command))]) for text, command in lines]
    data = f"The program as it was is in the folder {PROGRAM}. "
    same = "One seed decides everything: the same file, data and versions give the same weights."
    return join([tag("dl", *parts), tag("p", data + same, class_="note")])


def _flat(values: Mapping[str, object], head: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{head}{name} ")
        else:
            found.append((f"{head}{name}", str(value)))
    return found


def _code(text: str) -> Markup:
    return tag("pre", tag("code", text), tabindex="0")
