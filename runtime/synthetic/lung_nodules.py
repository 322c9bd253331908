"""Chest CT with lung nodules, as a hospital would hand it over: DICOM files, masks, a table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dhc.runtime.synthetic.chest import EXTENT
from dhc.runtime.synthetic.chest_ct import DISTANCE, ChestSlice, draw_patient
from dhc.runtime.synthetic.phantom import TABLE, Row, Tell, in_threads, parts_of, write_table

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileMetaDataset

INTERCEPT = -1024  # of Hounsfield units from stored values, which are never negative
WHAT = "SYNTHETIC PHANTOM"


@dataclass(frozen=True)
class LungNodules:
    """Slices with the masks of their nodules; each patient is in one part.

    Attributes:
        patients: How many in each part.
        slices: Of each patient.
        size: Pixels along a side.
        seed: Another seed is another population.
    """

    about: str
    patients: Mapping[str, int]
    slices: int
    size: int
    seed: int = 0
    version: int = 1
    entry: str = TABLE

    @property
    def pieces(self) -> int:
        return sum(self.patients.values())

    def write(self, folder: Path, tell: Tell) -> None:
        drawn = in_threads(partial(self._write_patient, folder), self.pieces, tell)
        write_table(folder, [row for own in drawn for row in own])

    def _write_patient(self, folder: Path, number: int) -> list[Row]:
        """Writes each slice as DICOM and its nodules as a PNG of 0 and 255."""
        patient, part = f"patient{number:03}", parts_of(self.patients)[number]
        own = folder / patient
        own.mkdir()
        rows: list[Row] = []
        for index, found in enumerate(draw_patient(self.seed, number, self.slices, self.size)):
            image, mask = f"{index:02}.dcm", f"{index:02}_mask.png"
            name = f"{self.seed}.{number}"
            _dicom(found, name, index).save_as(own / image, enforce_file_format=True)
            _write_mask(own / mask, found)
            place = {"image": f"{patient}/{image}", "mask": f"{patient}/{mask}"}
            rows.append({**place, "split": part, "patient": patient})
        return rows


def _write_mask(path: Path, slice: ChestSlice) -> None:
    from PIL import Image

    Image.fromarray(slice.mask.astype(np.uint8) * np.uint8(255)).save(path)


def _dicom(slice: ChestSlice, name: str, index: int) -> Dataset:
    """The slice as a CT image; it says that it is synthetic wherever a person may look."""
    from pydicom import Dataset
    from pydicom.uid import CTImageStorage

    size = len(slice.values)
    spacing = EXTENT / size
    corner = -EXTENT / 2 + spacing / 2
    found = Dataset()
    found.file_meta = _file_meta(_uid(f"{name}.{index}"))
    found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, _uid(f"{name}.{index}")
    found.StudyInstanceUID, found.SeriesInstanceUID = _uid(f"{name} study"), _uid(f"{name} series")
    found.FrameOfReferenceUID = _uid(f"{name} frame")
    found.ImageType, found.Modality = ["DERIVED", "SECONDARY", "AXIAL"], "CT"
    found.Manufacturer, found.SeriesDescription, found.ImageComments = "dhc", WHAT, WHAT
    found.PatientName, found.PatientID = f"Phantom^{name}", f"PHANTOM-{name}"
    found.SeriesNumber, found.InstanceNumber = 1, index + 1
    found.ImagePositionPatient = [round(corner, 4), round(corner, 4), round(slice.level, 4)]
    found.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    found.PixelSpacing, found.SpacingBetweenSlices = [round(spacing, 6)] * 2, DISTANCE
    found.Rows = found.Columns = size
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
    found.RescaleIntercept, found.RescaleSlope, found.RescaleType = INTERCEPT, 1, "HU"
    found.WindowCenter, found.WindowWidth = -600, 1500
    found.PixelData = (slice.values - np.int16(INTERCEPT)).astype("<u2").tobytes()
    return found


def _file_meta(instance: str) -> FileMetaDataset:
    """The head of the file; it names no version of a library, so that bytes stay the same."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

    found = FileMetaDataset()
    found.MediaStorageSOPClassUID = CTImageStorage
    found.MediaStorageSOPInstanceUID = UID(instance)
    found.TransferSyntaxUID = ExplicitVRLittleEndian
    found.ImplementationClassUID = UID(_uid("implementation"))
    found.ImplementationVersionName = "DHC"
    return found


def _uid(name: str) -> str:
    """An identifier made of a digest, as DICOM (PS3.5, B.2) makes one of a UUID."""
    digest = hashlib.sha256(f"dhc phantom {name}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
