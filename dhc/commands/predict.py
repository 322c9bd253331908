"""`dhc predict`: the network of a run on images, or on a part of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dhc.commands.report import print_json, print_table
from dhc.errors import DhcError, Diagnostic
from dhc.runtime.outputs import Outputs
from dhc.training.predict import Predictor, write_predictions
from dhc.training.summaries import COLUMNS

SHOWN = 40  # lines of the table on a terminal; the file has all


@dataclass(frozen=True)
class PredictOptions:
    """How to predict.

    Attributes:
        output: A folder, or a .png or .npy file for one image and the first output.
        part: A part of the run's data set in place of files, or "".
    """

    output: Path
    part: str
    target: str
    json: bool


def predict_run(folder: Path, inputs: Sequence[str], options: PredictOptions) -> int:
    """Applies the best weights of a run, and writes what they find."""
    if bool(inputs) == bool(options.part):
        text = "Name images or a part of the run's data, not both."
        hints = ("dhc predict RUN IMAGE...", "dhc predict RUN --part test")
        raise DhcError(Diagnostic("no-input", text, hints=hints))
    predictor = Predictor(folder, options.target)
    written = Outputs(options.output, predictor.classes)
    written.check(2 if options.part else len(inputs))
    found = predictor.predict_part(options.part) if options.part else predictor.predict(inputs)
    rows = [
        summary.row(each.image.name)
        for each in write_predictions(found, written, options.output)
        for summary in each.summaries
    ]
    _report(rows, options)
    return 0


def _report(rows: list[dict[str, object]], options: PredictOptions) -> None:
    if options.json:
        print_json(rows)
        return
    columns = [c for c in COLUMNS if any(row[c] not in (None, "") for row in rows)]
    shown = [[_cell(row[column]) for column in columns] for row in rows[:SHOWN]]
    print_table("Predictions", columns, shown)
    if len(rows) > SHOWN:
        print(f"and {len(rows) - SHOWN} more")
    print(f"written to {options.output}")


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
