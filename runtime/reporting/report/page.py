"""The page of a report, from its sections."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template

from dhc.files import atomic_writer
from dhc.runtime.reporting.files import REPORT
from dhc.runtime.reporting.report.curves import training_section
from dhc.runtime.reporting.report.data import data_section
from dhc.runtime.reporting.report.files import RunFiles, read_run
from dhc.runtime.reporting.report.heading import heading
from dhc.runtime.reporting.report.kpi import kpi_section
from dhc.runtime.reporting.report.markup import Markup, escape, join, tag
from dhc.runtime.reporting.report.predictions import predictions_section
from dhc.runtime.reporting.report.program import (
    environment_section,
    program_section,
    reproduce_section,
)
from dhc.runtime.reporting.report.results import results_section
from dhc.runtime.reporting.report.timing import timing_section

SECTIONS: dict[str, Callable[[RunFiles], Markup]] = {
    "Results": results_section,
    "Training": training_section,
    "Predictions": predictions_section,
    "Data": data_section,
    "Time": timing_section,
    "KPIs": kpi_section,
    "Program": program_section,
    "Environment": environment_section,
    "Reproduce": reproduce_section,
}


def write_report(folder: Path) -> Path:
    """Writes the report of a run from the files in its folder, and returns where it is.

    Raises:
        DhcError: if one of the files is damaged.
    """
    path = folder / REPORT
    with atomic_writer(path) as stream:
        stream.write(render(read_run(folder)).encode("utf-8"))
    return path


def render(run: RunFiles) -> str:
    """Returns the report as one page that needs nothing else."""
    links = [tag("a", name, href=f"#{name.lower()}") for name in SECTIONS]
    sections = [
        tag("section", tag("h2", name), make(run), id=name.lower())
        for name, make in SECTIONS.items()
    ]
    return _template("page.html").substitute(
        title=escape(run.name),
        style=_template("page.css").template,
        heading=heading(run),
        links=join(links),
        sections=join(sections),
    )


@cache
def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(name).read_text(encoding="utf-8"))
