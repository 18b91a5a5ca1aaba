"""Frames of classic and enhanced MR as one thing: a plane with its place and rescale (PS3.3 C.7.6.2, C.7.6.16).

Called by read. Reads headers only, no pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from worker.errors import SeriesRefused
from worker.volume.geometry import Float64

CLASSIC = MRImageStorage
ENHANCED = (EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
SOP_CLASSES = (CLASSIC, *ENHANCED)
_UNIT_TOLERANCE = 1e-2
"""Cosines further from unit length or a right angle than this are no rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """One frame in the patient."""

    position_mm: Float64
    """(3,): centre of the first pixel, LPS."""
    row: Float64
    """(3,): unit vector along which the column index grows."""
    column: Float64
    """(3,): unit vector along which the row index grows, at a right angle to `row`."""
    spacing_mm_yx: tuple[float, float]
    slope: float
    intercept: float
    labels: Mapping[str, str]
    """What can tell two frames at one place apart, by a radiologist's name for it."""
    source: int
    """Index of the data set in the series as read."""
    frame: int
    """Index of the frame in its data set."""

    @property
    def normal(self) -> Float64:
        """(3,): unit vector from one slice to the next, row x column."""
        normal: Float64 = np.cross(self.row, self.column)
        return normal


def planes_of(datasets: Sequence[Any]) -> tuple[Plane, ...]:
    """All frames of a series' data sets. Raises SeriesRefused where one does not say where it lies."""
    planes: list[Plane] = []
    for source, ds in enumerate(datasets):
        if ds.SOPClassUID == CLASSIC:
            planes.append(_plane(ds, ds, ds, ds, _classic_labels(ds), source, 0))
        else:
            planes.extend(_enhanced(ds, source))
    return tuple(planes)


def _enhanced(ds: Any, source: int) -> list[Plane]:
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    frames = ds.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != int(ds.get("NumberOfFrames") or 1):
        raise SeriesRefused("the enhanced object does not describe each of its frames")
    planes = []
    for number, frame in enumerate(frames):

        def group(keyword: str, frame: Any = frame) -> Any:
            return _first(frame, keyword) or _first(shared, keyword)

        planes.append(
            _plane(
                group("PlanePositionSequence"),
                group("PlaneOrientationSequence"),
                group("PixelMeasuresSequence"),
                group("PixelValueTransformationSequence"),
                _enhanced_labels(ds, group),
                source,
                number,
            )
        )
    return planes


def _plane(
    place: Any, orientation: Any, measures: Any, transform: Any, labels: Mapping[str, str], source: int, frame: int
) -> Plane:
    position = _numbers(place, "ImagePositionPatient", 3)
    cosines = _numbers(orientation, "ImageOrientationPatient", 6)
    spacing = _numbers(measures, "PixelSpacing", 2)
    if not bool((spacing > 0).all()):
        raise SeriesRefused("a slice has a pixel spacing that is not positive")
    row, column = _right_angled(cosines[:3], cosines[3:])
    slope, intercept = (_number(transform, keyword, default) for keyword, default in _RESCALE)
    return Plane(
        position_mm=position, row=row, column=column, spacing_mm_yx=(float(spacing[0]), float(spacing[1])), slope=slope,
        intercept=intercept, labels=labels, source=source, frame=frame,
    )  # fmt: skip


_RESCALE = (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))


def _right_angled(row: Float64, column: Float64) -> tuple[Float64, Float64]:
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(float(lengths[0]) - 1), abs(float(lengths[1]) - 1), abs(float(row @ column))) > _UNIT_TOLERANCE:
        raise SeriesRefused("a slice's orientation (ImageOrientationPatient) is not two perpendicular unit vectors")
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _numbers(item: Any, keyword: str, count: int) -> Float64:
    value = item.get(keyword) if item is not None else None
    try:
        numbers = np.array([float(v) for v in value] if value is not None else [], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SeriesRefused(f"a slice has a malformed {keyword}") from error
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise SeriesRefused(f"a slice has no usable {keyword}")
    return numbers


def _number(item: Any, keyword: str, default: float) -> float:
    value = item.get(keyword) if item is not None else None
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise SeriesRefused(f"a slice has a malformed {keyword}") from error
    if not np.isfinite(number):
        raise SeriesRefused(f"a slice has a malformed {keyword}")
    return number


def _classic_labels(ds: Any) -> dict[str, str]:
    return {
        "image part": _part([str(v) for v in _values(ds.get("ImageType"))], str(ds.get("ComplexImageComponent") or "")),
        "diffusion b-value": _text(ds.get("DiffusionBValue")),
        "echo time": _text(ds.get("EchoTime")),
        "echo number": _text(ds.get("EchoNumbers")),
        "inversion time": _text(ds.get("InversionTime")),
        "time point": _text(ds.get("TemporalPositionIdentifier")),
        "acquisition": _text(ds.get("AcquisitionNumber")),
        "image type": _text(ds.get("ImageType")),
    }


def _enhanced_labels(ds: Any, group: Any) -> dict[str, str]:
    content, echo = group("FrameContentSequence"), group("MREchoSequence")
    kind, diffusion = group("MRImageFrameTypeSequence"), group("MRDiffusionSequence")
    timing = group("MRTimingAndRelatedParametersSequence")
    frame_type = (kind.get("FrameType") if kind is not None else None) or ds.get("ImageType")
    component = (kind.get("ComplexImageComponent") if kind is not None else None) or ds.get("ComplexImageComponent")
    inversion = group("MRModifierSequence")
    return {
        "image part": _part([str(v) for v in _values(frame_type)], str(component or "")),
        "diffusion b-value": _text(diffusion.get("DiffusionBValue") if diffusion is not None else None),
        "echo time": _text(echo.get("EffectiveEchoTime") if echo is not None else None),
        "inversion time": _text(inversion.get("InversionTimes") if inversion is not None else None),
        "repetition time": _text(timing.get("RepetitionTime") if timing is not None else None),
        "time point": _text(content.get("TemporalPositionIndex") if content is not None else None),
        "stack": _text(content.get("StackID") if content is not None else None),
        "acquisition": _text(content.get("FrameAcquisitionNumber") if content is not None else None),
    }


def _part(image_type: list[str], component: str) -> str:
    """magnitude, phase, real or imaginary: from ComplexImageComponent, or from ImageType as the vendors write it."""
    if component and component != "MIXED":
        return component.lower()
    for name, words in _PARTS.items():
        if any(value.upper() in words for value in image_type[2:]):
            return name
    return "magnitude"


_PARTS = {
    "phase": ("P", "PHASE", "PHASE MAP", "P_FFE", "P_SE", "P_IR"),
    "real": ("R", "REAL", "R_FFE", "R_SE"),
    "imaginary": ("I", "IMAGINARY", "I_FFE", "I_SE"),
}


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _first(item: Any, keyword: str) -> Any:
    sequence = item.get(keyword) if item is not None else None
    return sequence[0] if sequence else None
