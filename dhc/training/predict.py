"""Applies the network of a run to images: its best weights, behind its evaluation pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dhc.api import Model, Source, compile, load
from dhc.backends.base import Target
from dhc.errors import ArgumentError, DhcError, Diagnostic
from dhc.frontend import Entry
from dhc.frontend import Program as Front
from dhc.ir.graph import Array, Node
from dhc.ir.types import DType, dtype_of
from dhc.ops.random import COUNTER
from dhc.runtime.data.dataset import open_dataset
from dhc.runtime.data.images import Image, read_image
from dhc.runtime.outputs import Outputs, write_table
from dhc.runtime.program import Program
from dhc.runtime.reporting.decode import read_record
from dhc.runtime.reporting.files import DATA, PROGRAM, WEIGHTS, DataSummary
from dhc.training.folder import Description, read_description
from dhc.training.settings import TrainSettings, train_settings
from dhc.training.summaries import COLUMNS, Meaning, Summary, summarise

TABLE = "predictions.csv"
_PASSED = ("reshape", "slice", "cast", "transpose")  # what leaves probabilities as they are


@dataclass(frozen=True)
class Prediction:
    """What the network says of one image.

    Attributes:
        image: As it was read.
        outputs: The network's, by name, with a batch of one.
        summaries: One for each output, as the table has them.
    """

    image: Image
    outputs: Mapping[str, Array]
    summaries: Sequence[Summary]


class Predictor:
    """A trained network, ready for images.

    Args:
        folder: Of the run.
        target: What it is compiled for.

    Raises:
        DhcError: if the folder holds no run that has ended, or its program is damaged.
    """

    def __init__(self, folder: str | Path, target: str | Target = "cpu") -> None:
        self.folder = Path(folder)
        self._description = read_description(self.folder)
        if not (self.folder / WEIGHTS).is_file():
            text = f"The run '{folder}' has no weights yet: {WEIGHTS} is not there."
            hint = "end it first: dhc train FILE --out RUN --resume"
            raise DhcError(Diagnostic("run", text, hints=(hint,)))
        self._target = target
        front = _program(self.folder, self._description)
        self._settings = train_settings(front, self._description.train)
        self._source = Source(front, self._description.data)
        entry = front.instance(self._settings.model)
        self.model = Model(entry)
        self.model.load_parameters(self.folder / WEIGHTS)
        data = read_record(self.folder / DATA, DataSummary)
        self.classes = data.classes if data else ()
        self._meanings = _meanings(self._settings, entry, data)
        self._programs: dict[DType, Program] = {}

    def predict(self, inputs: Iterable[str | Path]) -> Iterator[Prediction]:
        """Yields what the network says of image files.

        Raises:
            DhcError: if one cannot be read, or does not fit the pipeline.
        """
        for name in inputs:
            image = read_image(name)
            yield self.apply(image, {})

    def predict_part(self, part: str) -> Iterator[Prediction]:
        """Yields what the network says of a part of the run's data set, with the truth.

        Raises:
            DhcError: if the data are gone, or have no such part.
        """
        dataset = open_dataset(self._settings.data.path, Path(self._description.data))
        name = next(name for name, kind in dataset.fields.items() if kind == "image")
        for sample in dataset.part(part):
            arrays = sample.read()
            yield self.apply(Image(arrays[name], None, sample.name), arrays)

    def apply(self, image: Image, fields: Mapping[str, Array]) -> Prediction:
        """Returns what the network says of an image.

        Args:
            image: It goes to the only input that is not among the fields.
            fields: Other values of the sample, by name; also the truth, where it is known.
        """
        dtype = dtype_of(image.array)
        if dtype not in self._programs:
            self._programs[dtype] = self._compile(dtype)
        program = self._programs[dtype]
        try:
            outputs = program(**self._inputs(program, image, fields))
        except ArgumentError as problem:
            text = f"The image '{image.name}' does not fit the pipeline of the run."
            raise DhcError(Diagnostic("data", text, notes=(str(problem),))) from None
        found = [
            summarise(name, outputs[name], meaning, self.classes, fields.get(meaning.truth))
            for name, meaning in self._meanings.items()
        ]
        return Prediction(image, outputs, found)

    def _compile(self, dtype: DType) -> Program:
        """The network behind the pipeline of the part that says most, at random only if that is.

        Raises:
            DhcError: if there is no pipeline but one for training that varies its images.
        """
        pipelines = self._settings.data.pipelines
        part = next((part for part in ("test", "val", "train") if pipelines.get(part)), "")
        if not part:
            return compile(self.model, self._target)
        model = self.model.after(self._source.pipeline(pipelines[part], dtype))
        program = compile(model, self._target)
        if part == "train" and COUNTER in program.inputs:
            text = f"The run has no pipeline for images but '{pipelines[part]}', which varies them."
            span = self._settings.data.span
            hint = "train with one for validation or the test: dataset(..., val=PIPELINE)"
            raise DhcError(Diagnostic("data", text, span, "here", hints=(hint,)))
        return program

    def _inputs(
        self, program: Program, image: Image, fields: Mapping[str, Array]
    ) -> dict[str, Array]:
        found = {name: array for name, array in fields.items() if name in program.inputs}
        if COUNTER in program.inputs:
            type = program.inputs[COUNTER]
            found[COUNTER] = np.zeros(type.static_shape, type.dtype.numpy)
        missing = [name for name in program.inputs if name not in found]
        if len(missing) > 1:
            text = f"The network takes {', '.join(missing)}; a file gives one image."
            raise DhcError(Diagnostic("inputs", text, hints=("use --part",)))
        return found | dict.fromkeys(missing, image.array)


def predict(
    folder: str | Path,
    inputs: Iterable[str | Path] = (),
    part: str = "",
    out: str | Path | None = None,
    target: str | Target = "cpu",
) -> list[Prediction]:
    """Applies the best weights of a run to images.

    Args:
        folder: Of the run.
        inputs: Image files: DICOM, NIfTI, pictures, .npy.
        part: A part of the run's data set, such as `test`, in place of files.
        out: Where pictures, arrays and tables go; nowhere if not given.
        target: What the network is compiled for.

    Returns:
        What it says of each, in order.

    Raises:
        DhcError: if the folder holds no run, or an image does not fit its pipeline.
    """
    predictor = Predictor(folder, target)
    found = predictor.predict_part(part) if part else predictor.predict(inputs)
    if out is None:
        return list(found)
    written = Outputs(Path(out), predictor.classes)
    return list(write_predictions(found, written, Path(out)))


def write_predictions(
    found: Iterable[Prediction], written: Outputs, place: Path
) -> Iterator[Prediction]:
    """Writes predictions as they come, and the tables at the end."""
    rows = []
    for each in found:
        written.write(each.image, each.outputs)
        rows += [summary.row(each.image.name) for summary in each.summaries]
        yield each
    written.close()
    if written.is_folder:
        write_table(place / TABLE, COLUMNS, rows)


# ---- parts -----------------------------------------------------------------------------------


def _program(folder: Path, description: Description) -> Front:
    """The run's program with the settings that were given besides it."""
    front = load(folder / PROGRAM / description.file).program
    settings = dict(each.split("=", 1) for each in description.settings)
    return front.with_settings(description.train, settings) if settings else front


def _meanings(
    settings: TrainSettings, entry: Entry, data: DataSummary | None
) -> dict[str, Meaning]:
    """What each output is: by the field that a metric compares it with."""
    fields = data.fields if data else {}
    truths = {m.prediction: m.truth for m in settings.metrics}
    return {
        name: Meaning(truths.get(name, ""), fields.get(truths.get(name, ""), ""), _is_share(node))
        for name, node in entry.graph.outputs
    }


def _is_share(node: Node) -> bool:
    """Whether an output is a probability already, by the operator that makes it."""
    while node.op.name in _PASSED and node.inputs:
        node = node.inputs[0]
    return node.op.name in ("sigmoid", "hardsigmoid", "softmax")


def trained_model(folder: str | Path) -> Model:
    """Returns the network of a run with its best weights.

    Raises:
        DhcError: if the folder holds no run that has ended, or its program is damaged.
    """
    return Predictor(folder).model
