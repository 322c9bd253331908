"""`dhc check` and `dhc fmt`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dhc.api import Source, load
from dhc.commands.entries import choose_target
from dhc.commands.report import print_json
from dhc.errors import DhcError, Diagnostic, render, to_json
from dhc.files import atomic_writer
from dhc.frontend import Program, check, format_text
from dhc.source import read_source
from dhc.targets import check_backend, make_backend


def check_files(files: Sequence[Path], target: str, json: bool) -> int:
    """Checks files and prints what is wrong, and what sizes must satisfy."""
    found: list[Diagnostic] = []
    constraints: dict[str, dict[str, tuple[str, ...]]] = {}
    for file in files:
        try:
            constraints[str(file)] = _check_file(file, target, found)
        except DhcError as error:
            found += error.diagnostics
    if json:
        print_json({"diagnostics": to_json(found), "constraints": constraints})
    else:
        _print_report(found, constraints)
    return 1 if found else 0


def _check_file(file: Path, target: str, found: list[Diagnostic]) -> dict[str, tuple[str, ...]]:
    source = load(file)
    report = check(source.program)
    found += report.diagnostics
    found += [problem for name in source.targets for problem in _check_target(source, name)]
    if not report.diagnostics:
        found += _check_experiments(source.program)
    if target and not report.diagnostics:
        chosen = choose_target(source, target)
        for name in report.constraints:
            try:
                check_backend(source.entry(name).graph, chosen)
            except DhcError as error:
                found += [each for each in error.diagnostics if each not in found]
    return report.constraints


def _check_target(source: Source, name: str) -> list[Diagnostic]:
    """What is wrong with a target, at its backend's place; what comes later is no mistake."""
    try:
        make_backend(source.target(name))
    except DhcError as error:
        span = source.program.target(name).span
        wrong = [each for each in error.diagnostics if each.code != "not-yet"]
        return [replace(each, span=each.span or span) for each in wrong]
    return []


def _check_experiments(program: Program) -> list[Diagnostic]:
    """What is wrong with trains and studies, as far as it can be told without their data."""
    from dhc.studies.settings import study_settings
    from dhc.training.settings import train_settings

    found: list[Diagnostic] = []
    readers: dict[Callable[[Program, str], object], Sequence[str]] = {
        train_settings: program.trains,
        study_settings: program.studies,
    }
    for read, names in readers.items():
        for name in names:
            try:
                read(program, name)
            except DhcError as error:
                found += [d for d in error.diagnostics if d.code != "not-yet" and d not in found]
    return found


def _print_report(
    found: Sequence[Diagnostic], constraints: dict[str, dict[str, tuple[str, ...]]]
) -> None:
    if found:
        print(render(found, color=sys.stderr.isatty()), file=sys.stderr)
    for file, entries in constraints.items():
        needs = [f"{name}: {rule}" for name, rules in entries.items() for rule in rules]
        if not any(d.span is not None and d.span.file.path == file for d in found):
            print(f"{file}: good" + (", where " + "; ".join(needs) if needs else ""))


def format_files(files: Sequence[Path], check: bool) -> int:
    """Formats files in place, or says which would change."""
    changed = 0
    for file in files:
        before = read_source(file).text
        after = format_text(before, str(file))
        if after == before:
            continue
        changed += 1
        print(f"{file}: {'would change' if check else 'formatted'}")
        if not check:
            with atomic_writer(file) as stream:
                stream.write(after.encode("utf-8"))
    return 1 if check and changed else 0
