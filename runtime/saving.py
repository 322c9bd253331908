"""Writes checkpoints while training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from dhc.runtime.checkpoint import Checkpoint, write_checkpoint


class Saver:
    """Has at most one checkpoint under way; a run that ends has written all of them.

    A process that dies meanwhile leaves the checkpoint before, from which a run goes on as well.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None

    def save(self, paths: Sequence[Path], checkpoint: Checkpoint) -> None:
        """Begins to write a checkpoint, which must not change any more.

        Raises:
            OSError: naming the file, if the one before could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(_write, tuple(paths), checkpoint)

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
            OSError: naming the file, if it could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for the last one, whose failure is raised unless there is an earlier error."""
        try:
            self.wait()
        except OSError:
            if error is None:
                raise
        finally:
            self._thread.shutdown()


def _write(paths: Sequence[Path], checkpoint: Checkpoint) -> None:
    for path in paths:
        write_checkpoint(path, checkpoint)
