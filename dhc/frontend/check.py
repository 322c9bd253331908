"""Instantiates every model and pipeline of a file, as `dhc check` does."""

from __future__ import annotations

from dataclasses import dataclass, field

from dhc.errors import DhcError, Diagnostic
from dhc.frontend.program import Program
from dhc.frontend.values import Instance


@dataclass
class Report:
    """What a check found: mistakes, and what the sizes of each model must satisfy."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    constraints: dict[str, tuple[str, ...]] = field(default_factory=dict)


def check(program: Program) -> Report:
    """Builds every model and pipeline that has a default for each parameter."""
    report = Report()
    for name in (*program.models, *program.pipelines):
        is_model = name in program.models
        definition = program._definition(name, "model" if is_model else "pipeline").definition
        if is_model and any(p.default is None for p in definition.parameters):
            continue
        try:
            entry = program.model(name) if is_model else program.pipeline(name)
        except DhcError as problem:
            new = [each for each in problem.diagnostics if each not in report.diagnostics]
            report.diagnostics += new
        else:
            report.constraints[name] = entry.constraints
    for name in program.trains:
        _check_train(program, name, report)
    return report


def _check_train(program: Program, name: str, report: Report) -> None:
    """Builds the model of a train with the arguments given there."""
    try:
        model = program.train(name).values["model"]
        if isinstance(model, Instance):
            program.instance(model)
    except DhcError as problem:
        new = [each for each in problem.diagnostics if each not in report.diagnostics]
        report.diagnostics += new
