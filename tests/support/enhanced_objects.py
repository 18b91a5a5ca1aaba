"""Enhanced MR objects from classic ones: `enhanced(series)` by hand, `legacy_converted(series)` by highdicom.

Every frame gets its place, orientation, spacing, rescale and labels in functional groups (PS3.3 A.36, C.7.6.16).
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage
from support.dicom_objects import uid

_FRAME_OWN = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "RescaleSlope", "RescaleIntercept", "EchoTime", "InstanceNumber", "AcquisitionNumber", "PixelData",
    "TemporalPositionIdentifier", "DiffusionBValue",
)  # fmt: skip


def enhanced(series: Sequence[Dataset], *, frame_types: Sequence[Sequence[str]] | None = None) -> Dataset:
    """One Enhanced MR object of the classic slices, in the order given; a frame type for each where asked."""
    made = deepcopy(series[0])
    for keyword in _FRAME_OWN:
        if keyword in made:
            delattr(made, keyword)
    made.SOPClassUID = EnhancedMRImageStorage
    made.SOPInstanceUID = uid("enhanced", series[0].SeriesInstanceUID)
    made.NumberOfFrames = len(series)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_of(series[0], "ImageOrientationPatient")]
    shared.PixelMeasuresSequence = [_of(series[0], "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = [
        _frame(ds, number, frame_types[number] if frame_types else None) for number, ds in enumerate(series)
    ]
    made.PixelData = b"".join(ds.PixelData for ds in series)
    return made


def legacy_converted(series: Sequence[Dataset]) -> Dataset:
    """The same slices as highdicom's Legacy Converted Enhanced MR (PS3.3 A.70)."""
    return highdicom.legacy.LegacyConvertedEnhancedMRImage(
        legacy_datasets=list(series),
        series_instance_uid=uid("legacy", series[0].SeriesInstanceUID),
        series_number=90,
        sop_instance_uid=uid("legacy instance", series[0].SeriesInstanceUID),
        instance_number=1,
    )


def _frame(ds: Dataset, number: int, frame_type: Sequence[str] | None) -> Dataset:
    group = Dataset()
    group.PlanePositionSequence = [_of(ds, "ImagePositionPatient")]
    values = Dataset()
    values.RescaleSlope, values.RescaleIntercept = ds.get("RescaleSlope", 1), ds.get("RescaleIntercept", 0)
    values.RescaleType = "US"
    group.PixelValueTransformationSequence = [values]
    content = Dataset()
    content.StackID, content.InStackPositionNumber = "1", number + 1
    content.TemporalPositionIndex = int(ds.get("TemporalPositionIdentifier") or 1)
    group.FrameContentSequence = [content]
    echo = Dataset()
    echo.EffectiveEchoTime = float(ds.EchoTime)
    group.MREchoSequence = [echo]
    if frame_type is not None:
        kind = Dataset()
        kind.FrameType = list(frame_type)
        group.MRImageFrameTypeSequence = [kind]
    return group


def _of(ds: Dataset, *keywords: str) -> Dataset:
    part = Dataset()
    for keyword in keywords:
        setattr(part, keyword, deepcopy(ds[keyword].value))
    return part


def voxels_of(shape_zyx: tuple[int, int, int], seed: int = 0) -> Any:
    """Whole numbers that differ everywhere, so that a swapped or turned slice shows."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape_zyx))).reshape(shape_zyx).astype(np.uint16)
