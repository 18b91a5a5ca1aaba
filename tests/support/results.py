"""A synthetic study with planted lesions and the full `ResultContext` of it, and its source series as DICOM files.

    study = result_study(orientation="sagittal", lesions=[Planted((6, 20, 30), 5.0)])
    write_sources(study, tmp_path / "series")
    write_results(tmp_path, study.context, (Product.SEG, Product.SR))

Equal arguments give equal bytes. Lesions are balls given by their centre as voxel index (z, y, x) and radius in mm; a
radius of 0 is one voxel. Images are bright where the lesions are, so a viewer shows them under the overlay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage
from support.dicom_objects import mr_series, uid, write

from dicom_node.contract.messages import (
    JobRequest,
    ModelIdentity,
    Product,
    ProductFile,
    SlotState,
    SlotUse,
    SnapshotSeries,
)
from dicom_node.contract.slots import SequenceSlot
from worker.lesions.components import find_lesions
from worker.lesions.describe import describe_lesions
from worker.lesions.tracking import LesionRecord, track_lesions
from worker.results.provenance import ResultContext
from worker.volume.geometry import Grid, SeriesVolume, Volume

THRESHOLD = 0.5
CREATED_AT = "2026-11-23T08:15:30+00:00"


@dataclass(frozen=True)
class Planted:
    """A ball of high probability."""

    centre_zyx: tuple[int, int, int]
    radius_mm: float = 4.0


@dataclass(frozen=True, kw_only=True)
class ResultStudy:
    """What `result_study` made."""

    context: ResultContext
    record: LesionRecord
    series: Mapping[SequenceSlot, list[Dataset]]
    """The source series with pixels, ready to write or send."""
    files: Mapping[SequenceSlot, list[Path]] = field(default_factory=dict)


def result_study(
    *,
    orientation: str | Sequence[float] = "axial",
    shape_zyx: tuple[int, int, int] = (24, 64, 64),
    spacing_mm_zyx: tuple[float, float, float] = (1.0, 0.9375, 0.9375),
    lesions: Sequence[Planted] = (Planted((10, 24, 40), 5.0), Planted((16, 44, 20), 3.0)),
    slots: Sequence[SequenceSlot] = (SequenceSlot.POST_CUBE, SequenceSlot.FLAIR),
    descending: bool = False,
    enhanced: bool = False,
    phase: bool = False,
    other_frame_of_reference: bool = False,
    patient_name: str = "Doe^Jane",
    headers: Mapping[str, Any] | None = None,
    products: tuple[Product, ...] = (Product.SEG, Product.SR),
    predecessor: tuple[ProductFile, ...] = (),
    previous: LesionRecord | None = None,
    snapshot: str = "0" * 63 + "1",
) -> ResultStudy:
    """A study of the given slots; the first of them is the reference. `descending` turns its slices' order round;
    `enhanced` makes it one multi-frame object, with `phase` images between its own.
    """
    series = {
        slot: mr_series(
            slot.value,
            orientation=orientation,
            shape_zyx=shape_zyx,
            spacing_mm_zyx=spacing_mm_zyx,
            voxels=_anatomy(shape_zyx, spacing_mm_zyx, lesions),
            patient_name=patient_name,
            headers=headers,
            frame_of_reference_uid=uid("elsewhere") if other_frame_of_reference and n > 0 else None,
        )
        for n, slot in enumerate(slots)
    }
    datasets = series[slots[0]]
    if descending:
        datasets.reverse()
    voxels = np.stack([_pixels(ds) for ds in datasets])
    grid = _grid(datasets, shape_zyx)
    if descending:
        lesions = [_mirrored(lesion, shape_zyx[0]) for lesion in lesions]
    if enhanced:
        datasets = [enhanced_mr(datasets, phase=phase)]
        series[slots[0]] = datasets
    reference = SeriesVolume(
        volume=Volume(voxels=voxels, grid=grid),
        headers=tuple(_without_pixels(ds) for ds in datasets),
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        frame_of_reference_uid=str(datasets[0].FrameOfReferenceUID),
    )
    probability = Volume(voxels=_probability(shape_zyx, spacing_mm_zyx, lesions), grid=grid)
    record = track_lesions(
        find_lesions(probability, THRESHOLD, minimum_mm3=0.0),
        study_instance_uid=str(datasets[0].StudyInstanceUID),
        snapshot_digest=snapshot,
        frame_of_reference_uid=reference.frame_of_reference_uid,
        previous=previous,
    )
    context = ResultContext(
        request=_request(series, snapshot, products),
        reference=reference,
        others={slot: tuple(_without_pixels(ds) for ds in series[slot]) for slot in slots[1:]},
        slots=tuple(_slot_use(slot, slots, series) for slot in SequenceSlot),
        model=ModelIdentity(
            name="quartet-ild",
            version="0.1.0",
            weights_digest="ab" * 32,
            threshold=THRESHOLD,
            expected={"dice": 0.79, "auc": 0.989, "false positives per patient": 3.6},
        ),
        lesions=describe_lesions(record, probability, reference.volume),
        lesion_map=record.lesions,
        probability=probability,
        software_version="0.1.0",
        settings_digest="cd" * 32,
        predecessor=predecessor,
    )
    return ResultStudy(context=context, record=record, series=series)


def write_sources(study: ResultStudy, folder: Path) -> list[Path]:
    """Write all source series under `folder`, one folder a slot, and give the paths."""
    return [path for slot, datasets in study.series.items() for path in write(datasets, folder / slot.value)]


def enhanced_mr(slices: Sequence[Dataset], *, phase: bool = False) -> Dataset:
    """The slices of a classic series as one Enhanced MR object (PS3.3 A.36), with what readers of geometry need.

    With `phase` each slice's frame follows a phase image of the same place.
    """
    parts = ("P", "M") if phase else ("M",)
    first = slices[0]
    enhanced = Dataset()
    for element in first:
        if element.keyword not in {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
                                   "SpacingBetweenSlices", "PixelData", "SOPClassUID", "SOPInstanceUID"}:  # fmt: skip
            enhanced.add(element)
    enhanced.SOPClassUID = EnhancedMRImageStorage
    enhanced.SOPInstanceUID = uid("enhanced", first.SOPInstanceUID)
    enhanced.NumberOfFrames = len(slices) * len(parts)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    enhanced.SharedFunctionalGroupsSequence = [shared]
    enhanced.PerFrameFunctionalGroupsSequence = [_frame(ds, part) for ds in slices for part in parts]
    enhanced.PixelData = b"".join(ds.PixelData * len(parts) for ds in slices)
    return enhanced


def _frame(ds: Dataset, part: str) -> Dataset:
    frame, position, kind = Dataset(), Dataset(), Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", part, "NONE"]
    frame.MRImageFrameTypeSequence = [kind]
    position.ImagePositionPatient = ds.ImagePositionPatient
    frame.PlanePositionSequence = [position]
    return frame


def _grid(datasets: Sequence[Dataset], shape_zyx: tuple[int, int, int]) -> Grid:
    first, last = (np.array([float(v) for v in ds.ImagePositionPatient]) for ds in (datasets[0], datasets[-1]))
    cosines = np.array([float(v) for v in datasets[0].ImageOrientationPatient])
    row_mm, column_mm = (float(v) for v in datasets[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = cosines[:3] * column_mm
    affine[:3, 1] = cosines[3:] * row_mm
    affine[:3, 2] = (last - first) / (len(datasets) - 1)
    affine[:3, 3] = first
    return Grid(shape_zyx=shape_zyx, affine=affine)


def _distance_mm(shape: tuple[int, int, int], spacing: tuple[float, float, float], centre: Sequence[int]) -> np.ndarray:
    axes = [(np.arange(n) - c) * mm for n, c, mm in zip(shape, centre, spacing, strict=True)]
    return np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))


def _probability(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], lesions: Sequence[Planted]
) -> np.ndarray:
    """0.95 in the centre of each lesion, the threshold at its radius, 0 at three radii."""
    found = np.zeros(shape, dtype=np.float32)
    for lesion in lesions:
        radius = max(lesion.radius_mm, 0.1)
        fall = _distance_mm(shape, spacing, lesion.centre_zyx) / radius
        ball = np.where(fall <= 1, 0.95 - 0.4 * fall, np.clip(0.3 - 0.15 * (fall - 1), 0, None))
        found = np.maximum(found, ball.astype(np.float32))
    return found


def _anatomy(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], lesions: Sequence[Planted]
) -> np.ndarray:
    """A dim textured ellipsoid with the lesions bright in it."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    texture = np.random.default_rng(3).normal(0, 15, shape)
    image = np.where(x**2 + y**2 + z**2 / 4 < 0.8, 300.0, 20.0) + texture
    for lesion in lesions:
        image[_distance_mm(shape, spacing, lesion.centre_zyx) <= max(lesion.radius_mm, 0.1)] = 900
    return np.clip(image, 0, 1000)


def _mirrored(lesion: Planted, slices: int) -> Planted:
    z, y, x = lesion.centre_zyx
    return Planted((slices - 1 - z, y, x), lesion.radius_mm)


def _pixels(ds: Dataset) -> np.ndarray:
    flat = np.frombuffer(ds.PixelData, dtype="<u2", count=ds.Rows * ds.Columns)
    return flat.reshape(ds.Rows, ds.Columns).astype(np.float32)


def _without_pixels(ds: Dataset) -> Dataset:
    header = Dataset()
    for element in ds:
        if element.keyword != "PixelData":
            header.add(element)
    return header


def _request(series: Mapping[SequenceSlot, list[Dataset]], snapshot: str, products: tuple[Product, ...]) -> JobRequest:
    return JobRequest(
        job_id="0123456789abcdef",
        study_instance_uid=str(next(iter(series.values()))[0].StudyInstanceUID),
        snapshot_digest=snapshot,
        created_at=CREATED_AT,
        series=tuple(
            SnapshotSeries(
                series_instance_uid=str(datasets[0].SeriesInstanceUID),
                slot=slot,
                chosen=True,
                confidence=0.95,
                reasons=("3D spin echo with contrast",),
                description=slot.label,
                instances=(),
            )
            for slot, datasets in series.items()
        ),
        products=products,
    )


def _slot_use(
    slot: SequenceSlot, used: Sequence[SequenceSlot], series: Mapping[SequenceSlot, list[Dataset]]
) -> SlotUse:
    if slot in used:
        registration = {} if slot is used[0] else {"mutual_information": 0.61, "shift_mm": 1.2}
        return SlotUse(
            slot=slot,
            state=SlotState.USED,
            series_instance_uid=str(series[slot][0].SeriesInstanceUID),
            confidence=0.95,
            registration=registration,
        )
    if slot is SequenceSlot.BRAVO:
        return SlotUse(
            slot=slot, state=SlotState.MISSING, reason="no series of the study is a post-Gd 3D T1 gradient echo"
        )
    return SlotUse(
        slot=slot,
        state=SlotState.REJECTED,
        reason="the co-registration failed: 14 mm from the reference – über all limits",
        series_instance_uid=uid("rejected", slot),
        confidence=0.8,
        registration={"mutual_information": 0.02},
    )
