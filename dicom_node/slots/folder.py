"""Reads the headers of a folder of DICOM files: studies and their series, as the classifier takes them.

Called by table.py only; the running node has its headers from the store. Reads no pixels and keeps no identifiers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

_PATIENT_GROUP = 0x0010
_SEQUENCE_DEPTH = 4
"""Deeper nesting holds nothing that the classifier reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundStudy:
    """One study. `name` is what the input calls it: StudyInstanceUID, or `study` of a JSON line."""

    name: str
    series: tuple[Mapping[str, object], ...]


def read_series_headers(folder: Path) -> tuple[FoundStudy, ...]:
    """Studies below `folder`, in the order of their first files; files that are no DICOM are passed over.

    Each series gives the header of its first instance, with the count of instances. Raises OSError where a file cannot
    be read.
    """
    studies: dict[str, dict[str, dict[str, object]]] = {}
    counted: set[str] = set()
    for path in _files(folder):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue
        study, series, instance = (
            str(ds.get(uid, "")) for uid in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        )
        if not series or instance in counted:
            continue
        counted.add(instance)
        headers = studies.setdefault(study, {}).setdefault(series, {})
        if not headers:
            headers.update(_plain(ds, _SEQUENCE_DEPTH))
        so_far = headers.get("NumberOfSeriesRelatedInstances", 0)
        headers["NumberOfSeriesRelatedInstances"] = so_far + 1 if isinstance(so_far, int) else 1
    return tuple(
        FoundStudy(name=study or f"study {number}", series=tuple(series.values()))
        for number, (study, series) in enumerate(studies.items(), 1)
    )


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "DICOMDIR")


def _plain(ds: Any, depth: int) -> dict[str, object]:
    """A data set as keyword -> JSON value. A value that cannot be decoded is left out."""
    found: dict[str, object] = {}
    for tag in ds.keys():  # noqa: SIM118  a data set iterates over elements, and decoding one may fail
        if tag.group == _PATIENT_GROUP or tag.is_private:
            continue
        try:
            element = ds[tag]
        except (ValueError, KeyError, NotImplementedError, TypeError):
            continue
        if not element.keyword or element.value is None:
            continue
        if element.VR == "SQ":
            if depth and element.value:
                found[element.keyword] = [_plain(element.value[0], depth - 1)]
        else:
            found[element.keyword] = _json_value(element)
    return found


def _json_value(element: Any) -> object:
    value = element.value
    several = list(value) if element.VM > 1 else [value]
    plain = [part if isinstance(part, int | float) and not isinstance(part, bool) else str(part) for part in several]
    plain = [float(str(part)) if element.VR == "DS" and str(part) else part for part in plain]
    return plain if len(plain) > 1 else plain[0] if plain else None
