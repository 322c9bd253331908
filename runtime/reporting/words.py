"""Numbers, times and intervals as people read them."""

from __future__ import annotations

import math

from dhc.runtime.reporting.files import MetricResult


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number for people; a dash where there is none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    if value and not 1e-4 <= abs(value) < 1e7:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    if abs(value) >= 10 ** (digits - 1) or (value == int(value) and value):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def fixed(value: float | None, digits: int = 4) -> str:
    """Returns a number with all its digits, so that those below each other align."""
    if value is None or not math.isfinite(value) or (value and not 1e-4 <= abs(value) < 1e6):
        return number(value, digits)
    return f"{value:#,.{digits}g}".rstrip(".")


def exact(seconds: float) -> str:
    """Returns a time with about three digits, such as `1 min 39 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def between(result: MetricResult) -> str:
    """Returns the interval of a metric; nothing where there is none."""
    if result.low is None or result.high is None:
        return ""
    return f"{fixed(result.low)} to {fixed(result.high)}"
