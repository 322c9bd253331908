"""`dhc doctor` and `dhc cache`."""

from __future__ import annotations

from dataclasses import asdict

from dhc.commands.report import print_json, print_table, quantity
from dhc.doctor import examine
from dhc.runtime.cache import default_cache


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
    """Shows what the cache of compiled objects holds; removes it if asked to."""
    cache = default_cache()
    if prune:
        cache.clear()
    usage = cache.usage()
    if json:
        print_json({"folder": str(usage.folder), "entries": usage.entries, "bytes": usage.bytes})
    else:
        print(f"{usage.folder}: {usage.entries} entries, {quantity(usage.bytes, 'B')}")
    return 0
