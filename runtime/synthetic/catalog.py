"""The data sets that dhc makes itself, by name: `dataset("phantom:lung_nodules")`.

A phantom is a folder like any that a user might have. It is made when it is first asked for, beside
its place, and moved there when it is whole, so that neither an interruption nor a second process
leaves half of one.
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dhc.errors import DhcError, Diagnostic, did_you_mean
from dhc.runtime.cache import ABANDONED, cache_folder, private_folder
from dhc.runtime.data.dataset import DataSet, open_dataset
from dhc.runtime.memory import keep_freed_memory
from dhc.runtime.reporting.progress import show_work
from dhc.runtime.synthetic.ct_perfusion import CtPerfusion
from dhc.runtime.synthetic.lung_nodules import LungNodules
from dhc.runtime.synthetic.phantom import Phantom
from dhc.runtime.synthetic.textures import TissueTextures

FOLDER = "phantoms"  # within that of the cache
CONTENT = "phantom.json"
MAX_LISTED = 100_000_000  # bytes of a list of files


CATALOG: dict[str, Phantom] = {
    "lung_nodules": LungNodules(
        "chest CT with nodules", {"train": 42, "val": 6, "test": 10}, slices=6, size=256
    ),
    "ct_perfusion": CtPerfusion(
        "CT perfusion with maps of blood flow and volume",
        {"train": 40, "val": 8, "test": 16},
        slices=2,
        size=64,
        frames=20,
    ),
    "tissue_textures": TissueTextures(
        "five kinds of stained tissue", {"train": 14, "val": 4, "test": 8}, tiles=8, size=64
    ),
    # Just enough to see that a program runs.
    "lung_nodules_tiny": LungNodules(
        "a little of lung_nodules", {"train": 3, "val": 1, "test": 2}, slices=1, size=256
    ),
    "ct_perfusion_tiny": CtPerfusion(
        "a little of ct_perfusion",
        {"train": 3, "val": 1, "test": 2},
        slices=1,
        size=32,
        frames=20,
    ),
    "tissue_textures_tiny": TissueTextures(
        "a little of tissue_textures", {"train": 2, "val": 1, "test": 1}, tiles=2, size=32
    ),
}


def open_phantom(name: str) -> DataSet:
    """Opens a phantom data set; makes it first if it is not in the cache.

    Raises:
        DhcError: if there is none of that name, or it cannot be written.
    """
    phantom = _known(name)
    try:
        place = private_folder() / FOLDER / f"{name}-{phantom.version}"
        if not _is_whole(place):
            _make(name, phantom, place)
    except OSError as error:
        text = f"The synthetic data set '{name}' cannot be made: {error}."
        hint = "set DHC_CACHE to a folder that can be written"
        raise DhcError(Diagnostic("data", text, hints=(hint,))) from error
    return replace(open_dataset(place / phantom.entry), name=name, synthetic=True)


def _known(name: str) -> Phantom:
    if name in CATALOG:
        return CATALOG[name]
    guess = did_you_mean(name, CATALOG)
    hint = f"did you mean 'phantom:{guess}'?" if guess else f"there is {', '.join(CATALOG)}"
    raise DhcError(Diagnostic("data", f"There is no phantom '{name}'.", hints=(hint,)))


# ---- the cache -----------------------------------------------------------------------------------


def _make(name: str, phantom: Phantom, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    _remove_abandoned(place.parent)
    part = place.with_name(f".{place.name}.{secrets.token_hex(8)}.part")
    part.mkdir()
    keep_freed_memory()
    try:
        with show_work(f"Making the synthetic data set '{name}'", phantom.pieces) as tell:
            phantom.write(part, tell)
        (part / CONTENT).write_text(json.dumps(_sizes(part)), encoding="utf-8")
        _move(part, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move(part: Path, place: Path) -> None:
    """Puts a whole data set into its place; another process may have done so meanwhile."""
    if place.exists() and not _is_whole(place):
        damaged = place.with_name(f".{place.name}.{secrets.token_hex(8)}.part")
        with suppress(FileNotFoundError):
            place.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        part.rename(place)
    except OSError:
        if not _is_whole(place):
            raise


def _is_whole(place: Path) -> bool:
    """Whether all files are there that were written."""
    try:
        wanted = json.loads((place / CONTENT).read_bytes()[:MAX_LISTED])
        return bool(wanted == _sizes(place))
    except (OSError, ValueError):
        return False


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CONTENT
    }


def kept_phantoms() -> dict[str, int]:
    """Returns the data sets in the cache and their bytes."""
    folders = sorted((cache_folder() / FOLDER).glob("[!.]*"))
    return {folder.name: sum(_sizes(folder).values()) for folder in folders}


def clear_phantoms() -> None:
    """Removes all data sets from the cache; they are made again when they are asked for."""
    shutil.rmtree(cache_folder() / FOLDER, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Removes what processes that were killed left behind."""
    for path in folder.glob(".*.part"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(path, ignore_errors=True)
