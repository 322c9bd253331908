"""`dhc doctor` and `dhc cache`."""

from __future__ import annotations

from dataclasses import asdict

from dhc.commands.report import print_json, print_table, quantity
from dhc.doctor import examine
from dhc.runtime.cache import default_cache
from dhc.runtime.synthetic.catalog import clear_phantoms, kept_phantoms


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


def report_cache(prune: bool, json: bool) -> int:
    """Shows the compiled objects and synthetic data sets that are kept; removes them if asked."""
    cache = default_cache()
    if prune:
        cache.clear()
        clear_phantoms()
    usage, kept = cache.usage(), kept_phantoms()
    if json:
        own = {"folder": str(usage.folder), "entries": usage.entries, "bytes": usage.bytes}
        print_json({**own, "phantoms": kept})
        return 0
    print(f"{usage.folder}: {usage.entries} entries, {quantity(usage.bytes, 'B')}")
    for name, size in kept.items():
        print(f"synthetic data set {name}: {quantity(size, 'B')}")
    return 0
