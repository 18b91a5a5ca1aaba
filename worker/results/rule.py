"""What a viewer rule is, and what it looks at.

Called by the rule files (rules_all, rules_seg, rules_sr, rules_rt) and by viewer_rules. Pure; reads data sets that were
read back from their bytes. Knows nothing of how they were made: the rules judge any maker's files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
REPORTS = (COMPREHENSIVE_SR, COMPREHENSIVE_3D_SR)
NAMES = {
    SEGMENTATION: "SEG",
    LABEL_MAP_SEGMENTATION: "SEG (label map)",
    PARAMETRIC_MAP: "Parametric Map",
    RT_STRUCTURE_SET: "RTSTRUCT",
    COMPREHENSIVE_SR: "Comprehensive SR",
    COMPREHENSIVE_3D_SR: "Comprehensive 3D SR",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Display:
    """The series that a viewer shows under the result."""

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    rows: int
    columns: int
    orientation: NDArray[np.float64]
    """(6,) ImageOrientationPatient."""
    pixel_spacing_mm: NDArray[np.float64]
    """(2,) between rows, between columns."""
    positions_mm: dict[tuple[str, int], NDArray[np.float64]]
    """SOP Instance UID and frame number (1 in classic images) -> ImagePositionPatient."""

    @property
    def instances(self) -> set[str]:
        return {uid for uid, _ in self.positions_mm}


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One data set under judgement, among those that go out together."""

    dataset: Dataset
    together: Sequence[Dataset]
    display: Display | None
    """None: unknown; the rules that need it pass."""


Check = Callable[[Subject], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One must-have as an executable rule."""

    id: str
    reason: str
    """What happens where it is broken."""
    viewers: tuple[str, ...]
    """Who needs it; `standard` where PS3 itself asks for it."""
    classes: tuple[str, ...]
    """SOP classes it judges; empty: all."""
    check: Check
    must: bool = True
    """False: worth knowing, holds nothing back."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that a data set breaks."""

    rule: Rule
    kind: str
    """The kind of object, in words."""
    message: str

    def __str__(self) -> str:
        return f"[{self.rule.id}] {self.kind}: {self.message} ({', '.join(self.rule.viewers)}: {self.rule.reason})"


def display_of(headers: Sequence[Dataset]) -> Display:
    """The display series from its headers: one data set a slice, or a single enhanced one."""
    first = headers[0]
    groups = first.get("PerFrameFunctionalGroupsSequence")
    shared = first.SharedFunctionalGroupsSequence[0] if groups else None

    def group(keyword: str) -> Any:
        if shared is None:
            return first
        return (shared if keyword in shared else groups[0])[keyword].value[0]

    if groups:
        positions = {
            (str(first.SOPInstanceUID), n): _array(frame.PlanePositionSequence[0].ImagePositionPatient)
            for n, frame in enumerate(groups, start=1)
        }
    else:
        positions = {(str(header.SOPInstanceUID), 1): _array(header.ImagePositionPatient) for header in headers}
    return Display(
        study_instance_uid=str(first.StudyInstanceUID),
        series_instance_uid=str(first.SeriesInstanceUID),
        frame_of_reference_uid=str(first.FrameOfReferenceUID),
        rows=int(first.Rows),
        columns=int(first.Columns),
        orientation=_array(group("PlaneOrientationSequence").ImageOrientationPatient),
        pixel_spacing_mm=_array(group("PixelMeasuresSequence").PixelSpacing),
        positions_mm=positions,
    )


def first_item(dataset: Dataset | None, *keywords: str) -> Dataset | None:
    """The first item along nested sequences, or None where one is missing or empty."""
    for keyword in keywords:
        items = dataset.get(keyword) if dataset is not None else None
        dataset = items[0] if items else None
    return dataset


def code_value(dataset: Dataset | None, keyword: str) -> str:
    """CodeValue of the first item of a code sequence; empty where there is none."""
    item = first_item(dataset, keyword)
    return str(item.get("CodeValue", "")) if item is not None else ""


def _array(values: Any) -> NDArray[np.float64]:
    return np.array([float(value) for value in values])
