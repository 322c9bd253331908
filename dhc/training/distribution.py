"""What a train block says of how ranks share its work."""

from __future__ import annotations

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import Configured
from dhc.frontend.values import Record, Word
from dhc.recipe.parallel import DataParallel

_LATER = ("distribute.workers", "distribute.allreduce")


def parallel_of(found: Configured) -> DataParallel | None:
    """Returns how ranks share a run; None if the block has no section `distribute`.

    Raises:
        DhcError: if it asks for what does not exist yet, or for nothing.
    """
    given = {name: span for name, span in found.places.items() if name.startswith("distribute.")}
    if not given:
        return None
    mode = found.values.get("distribute.mode")
    if not isinstance(mode, Record):
        text = "'distribute' does not say how ranks share the work."
        hint = "add: mode = data_parallel()"
        raise DhcError(Diagnostic("arguments", text, next(iter(given.values())), hints=(hint,)))
    later = [name for name in _LATER if name in given]
    compress = mode.get("compress")
    if mode.name != "data_parallel":
        later.append(f"distribute.mode = {mode.name}()")
    elif isinstance(compress, Word) and compress.text != "none":
        later.append(f"compress={compress.text}")
    if later:
        span = given.get(later[0], mode.span)
        hints = ("leave it out, or use mode = data_parallel()",)
        raise DhcError(Diagnostic("not-yet", f"'{later[0]}' does not work yet.", span, hints=hints))
    buckets = mode.get("buckets")
    assert isinstance(buckets, int)
    try:
        return DataParallel(buckets, found.values.get("distribute.sync_batchnorm") is True)
    except ValueError as problem:
        raise DhcError(Diagnostic("arguments", str(problem), mode.span, "here")) from None
