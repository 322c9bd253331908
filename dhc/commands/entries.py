"""From words of a command line to entries of a program, sizes and targets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dhc.api import Model, Source, check_sizes, load
from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic, did_you_mean

_SETTING = re.compile(r"([A-Za-z_]\w*)\.([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHAPE = re.compile(r"([A-Za-z_]\w*)=([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Request:
    """What most commands are asked for.

    Attributes:
        file: A .dhm program.
        entry: A model or pipeline of it, or "" for the only one.
        settings: Overrides, `NAME.param=value`.
    """

    file: Path
    entry: str = ""
    settings: Sequence[str] = ()


def open_entry(request: Request) -> tuple[Source, Model]:
    """Loads a file and builds one entry of it.

    Raises:
        DhcError: for every mistake in the file, the name or the settings.
    """
    source = load(request.file)
    name = choose_entry(source, request.entry)
    return source, build_entry(source, name, request.settings)


_HINTS = {
    "train": "train it: dhc train FILE NAME",
    "study": "run it: dhc study FILE NAME",
    "target": "give it to another command: --target NAME",
    "app": "apps cannot run yet; `dhc explain FILE NAME` shows what it says",
}


def choose_entry(source: Source, name: str) -> str:
    """Returns the name of the entry meant.

    Raises:
        DhcError: if there is no such entry, or none was named and there are several.
    """
    entries = [*source.models, *source.pipelines]
    if name in entries:
        return name
    if not name and (len(source.models) == 1 or len(entries) == 1):
        return entries[0]
    kind = source.configurations.get(name, "")
    if kind:
        text = (
            f"'{name}' is {'an' if kind == 'app' else 'a'} {kind}; only models and pipelines run."
        )
        raise _fail(
            "no-entry", text, _HINTS.get(kind, "`dhc explain FILE NAME` shows what it says")
        )
    listed = ", ".join(entries) or "none"
    if not name:
        raise _fail("no-entry", "Say which model or pipeline is meant.", f"it has {listed}")
    guess = did_you_mean(name, entries)
    hint = f"did you mean '{guess}'?" if guess else f"it has {listed}"
    raise _fail("unknown-name", f"There is no model or pipeline '{name}'.", hint)


def build_entry(source: Source, name: str, settings: Sequence[str]) -> Model:
    """Builds an entry with the overrides that concern it."""
    chosen = parse_settings(settings)
    for owner in chosen:
        if owner not in (*source.models, *source.pipelines):
            raise _fail("unknown-name", f"--set names '{owner}', which is no model or pipeline.")
    parameters = chosen.get(name, {})
    if name in source.models:
        return source.model(name, **parameters)
    if parameters:
        raise _fail("setting", f"The pipeline '{name}' has no parameters to set.")
    return source.pipeline(name)


def parse_settings(settings: Sequence[str]) -> dict[str, dict[str, object]]:
    """Reads overrides such as `UNet.width=64`, by the name of what they change."""
    found: dict[str, dict[str, object]] = {}
    for text in settings:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise _fail("setting", f"'{text}' is no setting.", "write NAME.parameter=value")
        owner, parameter, value = match.groups()
        found.setdefault(owner, {})[parameter] = _value(value)
    return found


def _value(text: str) -> object:
    """A number, a truth value, a list of those, or else the text itself."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip()) for part in text[1:-1].split(",") if part.strip()]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text.strip('"')


def parse_shapes(shapes: Sequence[str]) -> dict[str, int]:
    """Reads sizes such as `H=224`."""
    found: dict[str, int] = {}
    for text in shapes:
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise _fail("shape", f"'{text}' is no size.", "write a name and a number, as in H=224")
        found[match[1]] = int(match[2])
    return found


def choose_target(source: Source, name: str, threads: int = 0) -> Target:
    """Returns the target of the file of that name, else the backend of that name."""
    if name in source.targets:
        target = source.target(name)
        return Target(target.backend, threads or target.threads, target.precision, target.options)
    return Target(name, threads)


def require_sizes(model: Model, shapes: Mapping[str, int]) -> None:
    """Checks that the sizes given are all that the entry has.

    Raises:
        DhcError: naming sizes that are unknown or missing.
    """
    check_sizes(model, shapes)
    missing = sorted(model.sizes - shapes.keys())
    if missing:
        hint = "give " + " ".join(f"--shape {name}=..." for name in missing)
        text = f"'{model.name}' has open sizes: {', '.join(missing)}."
        raise _fail("open-size", text, hint)


def _fail(code: str, message: str, *hints: str) -> DhcError:
    return DhcError(Diagnostic(code, message, hints=hints))
