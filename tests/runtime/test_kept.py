"""Decoded samples stay in memory as far as there is room, and nobody can change them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dhc.errors import DhcError
from dhc.runtime.data.dataset import Sample
from dhc.runtime.data.kept import Kept


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Three pictures of 16 bytes, each with a label of 8 bytes."""
    for k in range(3):
        Image.fromarray(np.full((4, 4), k, np.uint8)).save(tmp_path / f"{k}.png")
    return [Sample(f"s{k}", {"image": tmp_path / f"{k}.png", "label": k}) for k in range(3)]


def _emptied(samples: list[Sample], kept: Kept) -> list[bool]:
    """Reads all, removes the files, and says which are still known."""
    first = [kept.read(sample) for sample in samples]
    for sample in samples:
        path = sample.values["image"]
        assert isinstance(path, Path)
        path.unlink()
    known = []
    for sample, arrays in zip(samples, first, strict=True):
        try:
            again = kept.read(sample)
        except DhcError:
            known.append(False)
        else:
            known.append(all(np.array_equal(again[name], arrays[name]) for name in arrays))
    return known


@pytest.mark.parametrize(
    ("most", "known"),
    [(0, 0), (23, 0), (24, 1), (71, 2), (72, 3), (10**9, 3)],
)
def test_as_many_stay_as_there_is_room_for(samples: list[Sample], most: int, known: int) -> None:
    assert _emptied(samples, Kept(most)) == [k < known for k in range(3)]


def test_what_stays_cannot_be_written_to(samples: list[Sample]) -> None:
    kept = Kept()
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            kept.read(samples[0])["image"][0, 0, 0] = 9
    kept.read(samples[0])["more"] = np.zeros(1)
    assert "more" not in kept.read(samples[0])


def test_what_is_in_memory_anyway_is_not_kept_twice() -> None:
    sample = Sample("s", {"image": np.zeros((1, 4, 4), np.uint8), "label": 1})
    kept = Kept()
    assert kept.read(sample)["image"].flags.writeable
    assert not kept._known


def test_arrays_of_the_data_set_itself_stay_as_they_are(samples: list[Sample]) -> None:
    numbers = np.zeros(3)
    sample = Sample("mixed", {**samples[0].values, "numbers": numbers})
    assert not Kept().read(sample)["numbers"].flags.writeable
    assert numbers.flags.writeable
