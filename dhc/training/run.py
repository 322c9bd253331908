"""Runs a `train` block: the same for the command line and for Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dhc.backends.base import Target
from dhc.errors import DhcError, Diagnostic
from dhc.frontend import Program as Source
from dhc.metrics import METRICS
from dhc.recipe.schedules import Progress
from dhc.runtime.checkpoint import read_checkpoint
from dhc.runtime.comm.agree import first_alone
from dhc.runtime.comm.base import Communicator
from dhc.runtime.data.dataset import DataSet
from dhc.runtime.reporting.records import Observer, RunPlan
from dhc.runtime.trainer import BEST, LAST, Outcome, Rules, Trainer
from dhc.training.job import TrainingJob
from dhc.training.settings import TrainSettings, train_settings


@dataclass(frozen=True)
class Run:
    """A training run and where it leaves its files."""

    job: TrainingJob
    settings: TrainSettings
    folder: Path

    def train(self, observers: Sequence[Observer] = (), resume: bool = False) -> Outcome:
        """Trains, or goes on where the last checkpoint was written.

        Raises:
            DhcError: if the folder holds another run, or the loss is no number any more.
        """
        first_alone(self.job.ranks.communicator, lambda: self._prepare_folder(resume))
        ranks = self.job.ranks.communicator
        trainer = Trainer(
            self.job, self._rules(), self._rate, self._observe, self.folder, observers, ranks
        )
        return trainer.run(self._plan(), resume=resume)

    def _prepare_folder(self, resume: bool) -> None:
        self.check_folder(resume)
        self.folder.mkdir(parents=True, exist_ok=True)

    def check_folder(self, resume: bool) -> None:
        """Refuses to write over another run, and to go on with none.

        Raises:
            DhcError: if the folder holds a run, or should and does not.
        """
        there = (self.folder / LAST).exists()
        if there and not resume:
            text = f"'{self.folder}' holds a run already."
            hints = ("go on with it: --resume", "train into another folder: --out FOLDER")
            raise DhcError(Diagnostic("training", text, hints=hints))
        if resume and not there:
            text = f"'{self.folder}' holds no checkpoint to go on from."
            raise DhcError(Diagnostic("training", text, hints=("leave --resume out",)))

    def load_best(self) -> None:
        """Takes the parameters of the best epoch."""
        self.job.restore(read_checkpoint(self.folder / BEST).arrays)

    def _rules(self) -> Rules:
        stop = self.settings.stop
        return Rules(
            epochs=self.settings.epochs,
            every=self.settings.checkpoint,
            monitor=stop.monitor,
            rises=self._rises(stop.monitor),
            patience=stop.patience,
            least=stop.least,
            program=self.job.digest(),
        )

    def _rises(self, monitor: str) -> bool:
        name = next((m.metric.name for m in self.settings.metrics if m.name == monitor), "")
        return bool(name) and METRICS[name].better == "higher"

    def _rate(self, state: Mapping[str, object], progress: float) -> float:
        steps = self.job.steps_per_epoch
        place = Progress(round(progress * steps), steps, self.settings.epochs)
        return self.settings.schedule.rate(place, state)

    def _observe(self, state: Mapping[str, object], value: float) -> Mapping[str, object]:
        lower = -value if self._rises(self.settings.stop.monitor) else value
        return self.settings.schedule.observe(state, lower)

    def _plan(self) -> RunPlan:
        counts = {"train": len(self.job.train)}
        if self.job.val is not None:
            counts["val"] = len(self.job.val)
        settings, steps = self.settings, self.job.steps_per_epoch
        synthetic = self.job.dataset.synthetic
        notes = self.job.notes
        return RunPlan(settings.name, settings.epochs, steps, counts, synthetic, notes)


def open_run(
    source: Source,
    name: str,
    folder: Path,
    out: Path,
    target: Target,
    dataset: DataSet | None = None,
    begins: bool = True,
    communicator: Communicator | None = None,
) -> Run:
    """Builds and compiles a run.

    Args:
        source: The file's program.
        name: Of the train block.
        folder: Where paths in the block begin: the file's own folder.
        out: Where checkpoints and reports go.
        target: What steps are compiled for.
        dataset: The data; opened as the block says if not given.
        begins: Whether it begins anew; otherwise its parameters come from a checkpoint of its own.
        communicator: The ranks that share the run, if there are several.

    Raises:
        DhcError: with everything that is wrong, before any step.
    """
    settings = train_settings(source, name)
    runs = out.parent if begins else None
    job = TrainingJob(source, settings, folder, target, runs, dataset, communicator)
    return Run(job, settings, out)
