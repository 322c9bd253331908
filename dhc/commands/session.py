"""One run of the command line: what its general options ask for, and how it ends when it fails."""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dhc.errors import ArgumentError, DhcError, Diagnostic, render
from dhc.logs import show_logs
from dhc.watch import watching

if TYPE_CHECKING:
    from dhc.dump import Dump
    from dhc.passes.manager import Event

USER_ERROR, INTERNAL_ERROR = 1, 3

# What a system says about files and memory; none of it is a mistake of dhc.
_SYSTEM = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENOENT, errno.EISDIR,
    errno.ENOTDIR, errno.ENAMETOOLONG, errno.ENOMEM, errno.EMFILE, errno.EIO, errno.EDQUOT,
}  # fmt: skip


@dataclass
class Session:
    """What is known when a command fails.

    Attributes:
        arguments: The command line.
        events: What has been compiled so far; graphs only, so it is small.
        dump: Where the stages are written, if asked for.
    """

    arguments: Sequence[str] = ()
    events: list[Event] = field(default_factory=list)
    dump: Dump | None = None


_session = Session()


@contextmanager
def open_session(
    arguments: Sequence[str], verbosity: int, dump: Path | None, check_numerics: bool
) -> Iterator[None]:
    """Does what the general options ask for while a command runs.

    Raises:
        DhcError: if the folder of the dump is not empty.
    """
    global _session
    show_logs(verbosity)
    _session = Session(arguments)
    with ExitStack() as stack:
        stack.enter_context(watching(_session.events.append, fresh=False))
        if dump is not None:
            from dhc.dump import Dump

            _session.dump = Dump(dump, arguments)
            stack.enter_context(watching(_session.dump))
        if check_numerics:
            from dhc.numerics import CheckNumerics

            stack.enter_context(watching(CheckNumerics()))
        yield


def explain_failure(error: Exception) -> int:
    """Says what went wrong and returns the exit status."""
    found = _mistake(error)
    if found is None:
        print(_bug_text(error), file=sys.stderr)
        return INTERNAL_ERROR
    print(render(found.diagnostics, color=sys.stderr.isatty()), file=sys.stderr)
    return USER_ERROR


def _mistake(error: Exception) -> DhcError | None:
    """The diagnostics of what is not the fault of dhc: wrong input, and limits of the system."""
    match error:
        case DhcError():
            return error
        case ArgumentError():
            return DhcError(Diagnostic("arguments", str(error)))
        case MemoryError():
            hint = "use smaller sizes, or a machine with more memory"
            text = "There is not enough memory."
            return DhcError(Diagnostic("memory", text, hints=(hint,)))
        case OSError() if error.errno in _SYSTEM:
            reason = (error.strerror or "the system refuses").lower()
            what = "A file" if error.filename is None else f"'{error.filename}'"
            return DhcError(Diagnostic("file", f"{what} cannot be used: {reason}."))
    return None


def _bug_text(error: Exception) -> str:
    notes = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
    what = (str(error).splitlines() or [""])[0]
    lines = [
        "This is a bug in dhc, not a mistake of yours. It found:",
        f"    {type(error).__name__}: {what}{notes}",
    ]
    try:
        folder = _write_dump(error)
    except Exception as problem:
        lines.append(f"Please report it with your command line. No dump was written: {problem}")
    else:
        lines += [
            f"Please report it with the files in '{folder}'.",
            "They tell what was compiled, how, and where it failed. No images and no weights are",
            "in them, but your command line is; read command.txt before you send it.",
        ]
    return "\n".join(lines)


def _write_dump(error: Exception) -> Path:
    """Completes the dump of this session, or writes one into a folder of its own."""
    from dhc.dump import Dump

    dump = _session.dump
    if dump is None:
        dump = Dump(Path(tempfile.mkdtemp(prefix="dhc-bug-")), _session.arguments)
        for event in _session.events:
            dump(event)
    dump.failed(error)
    return dump.folder
