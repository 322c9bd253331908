"""`dhc doctor` and `dhc cache`."""

from __future__ import annotations

from dataclasses import asdict

from dhc.commands.report import print_json, print_table
from dhc.doctor import examine


def report_machine(json: bool) -> int:
    """Reports what this machine can do."""
    findings = examine()
    if json:
        print_json([asdict(finding) for finding in findings])
        return 0
    rows = [
        (f.name, "yes" if f.found else "no", f.detail, "" if f.found else f.remedy)
        for f in findings
    ]
    print_table("This machine", ("what", "found", "detail", "how to get it"), rows)
    return 0
