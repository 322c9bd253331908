"""The front end: .dhm text to checked programs and graphs."""

from dhc.frontend.build import Entry
from dhc.frontend.check import Report, check
from dhc.frontend.configure import Configured
from dhc.frontend.format import format_text
from dhc.frontend.program import Program, TargetSettings, load, load_text

__all__ = [
    "Configured",
    "Entry",
    "Program",
    "Report",
    "TargetSettings",
    "check",
    "format_text",
    "load",
    "load_text",
]
