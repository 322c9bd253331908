"""The key performance indicators of a run."""

from __future__ import annotations

from dhc.runtime.kpi.sums import indicators
from dhc.runtime.kpi.table import rows_of
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag


def kpi_section(run: RunFiles) -> Markup:
    """Returns how long development took, as far as it is known, and who says so."""
    if not run.ledger:
        return tag("p", "The run keeps no ledger.")
    found = indicators(run.ledger)
    rows = [[row.name, row.value, row.label, row.meaning] for row in rows_of(found)]
    text = "Times that only people know are declared with "
    note = tag("p", text, tag("code", "dhc kpi RUN --declare design=2h"), ".", class_="note")
    return join([table(("indicator", "value", "label", "what it is"), rows), note])
