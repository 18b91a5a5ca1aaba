"""One DICOM series from files to a volume: float32, LPS, slices in the order of the normal (PS3.3 C.8.3, C.8.13).

Called by the pipeline, once per chosen series. Whatever does not make one whole regular volume is refused with the
reason. Whose patient the files are is the node's matter.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from worker.errors import SeriesRefused
from worker.volume.decode import TRANSFER_SYNTAXES, DecodeLimits, check_size, decode
from worker.volume.geometry import Float32, SeriesVolume, Volume
from worker.volume.planes import CLASSIC, SOP_CLASSES, Plane, planes_of
from worker.volume.slices import order

DEFAULT_LIMITS = DecodeLimits()
_UNREADABLE = (InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_NEEDED = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns",
           "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation")  # fmt: skip
_SAME = {
    "SeriesInstanceUID": "the objects belong to different series",
    "FrameOfReferenceUID": "the slices have different frames of reference",
    "SOPClassUID": "the series mixes classic and enhanced objects",
    "Rows": "the slices have different sizes",
    "Columns": "the slices have different sizes",
}


def read_series(paths: Sequence[Path], *, limits: DecodeLimits = DEFAULT_LIMITS) -> SeriesVolume:
    """Read the files of one series, in any order. Raises SeriesRefused with a plain reason.

    Classic MR, Enhanced MR and Legacy Converted Enhanced MR; native, RLE and the lossless JPEG family. Phase images
    beside magnitude ones are left out. The headers come back without pixel data: one a slice, or one enhanced.
    """
    if not paths:
        raise SeriesRefused("the series has no objects")
    datasets = [_load(path) for path in paths]
    _check_alike(datasets)
    check_size(datasets, limits)
    planes, grid = order(planes_of(datasets), int(datasets[0].Rows), int(datasets[0].Columns))
    voxels = _voxels(datasets, planes)
    for ds in datasets:
        del ds.PixelData
    classic = datasets[0].SOPClassUID == CLASSIC
    return SeriesVolume(
        volume=Volume(voxels=voxels, grid=grid),
        headers=tuple(datasets[plane.source] for plane in planes) if classic else (datasets[0],),
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        frame_of_reference_uid=str(datasets[0].FrameOfReferenceUID),
    )


def _load(path: Path) -> Any:
    try:
        syntax = pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID
        if syntax not in TRANSFER_SYNTAXES:  # before the rest is read: deflated data sets inflate in the reader
            raise SeriesRefused(f"an object has a transfer syntax that is not read here ({syntax.name})")
        ds = pydicom.dcmread(path)
        _check_object(ds)
    except _UNREADABLE as error:
        raise SeriesRefused("an object of the series is damaged or no DICOM") from error
    return ds


def _check_object(ds: Any) -> None:
    if ds.get("SOPClassUID") not in SOP_CLASSES:
        raise SeriesRefused("an object of the series is no MR image")
    missing = [keyword for keyword in _NEEDED if ds.get(keyword) in (None, "")]
    if missing:
        raise SeriesRefused(f"an object of the series lacks {', '.join(missing)}")
    if int(ds.get("SamplesPerPixel") or 1) != 1 or ds.PhotometricInterpretation != "MONOCHROME2":
        raise SeriesRefused(f"the series is not grey scale with bright as high (it is {ds.PhotometricInterpretation})")
    if ds.get("PixelData") is None:
        raise SeriesRefused("an object of the series has no pixel data: it is truncated or a reference only")
    allocated, stored, high = int(ds.BitsAllocated), int(ds.BitsStored), int(ds.HighBit)
    if allocated not in (8, 16) or not 0 < stored <= allocated or not stored - 1 <= high < allocated:
        raise SeriesRefused(f"the series has pixels of {allocated} bits ({stored} stored), 8 or 16 are read")
    if "MOSAIC" in (ds.get("ImageType") or ()):
        raise SeriesRefused("the series is a mosaic (several slices tiled into one image)")
    if ds.SOPClassUID == CLASSIC and int(ds.get("NumberOfFrames") or 1) != 1:
        raise SeriesRefused("a classic MR object holds several frames")


def _check_alike(datasets: Sequence[Any]) -> None:
    for keyword, reason in _SAME.items():
        if len({str(ds[keyword].value) for ds in datasets}) > 1:
            raise SeriesRefused(reason)
    if datasets[0].SOPClassUID != CLASSIC and len(datasets) > 1:
        raise SeriesRefused(f"the series holds {len(datasets)} enhanced objects, one is needed")
    if len({str(ds.SOPInstanceUID) for ds in datasets}) < len(datasets):
        raise SeriesRefused("an object is doubled in the series")


def _voxels(datasets: Sequence[Any], planes: Sequence[Plane]) -> Float32:
    """(Z, Y, X): stored values times slope plus intercept, each frame by its own."""
    voxels = np.empty((len(planes), int(datasets[0].Rows), int(datasets[0].Columns)), dtype=np.float32)
    decoded: tuple[int, Any] = (-1, None)
    for z, plane in enumerate(planes):
        if decoded[0] != plane.source:
            decoded = (plane.source, decode(datasets[plane.source]))
        voxels[z] = decoded[1][plane.frame] * np.float32(plane.slope) + np.float32(plane.intercept)
    if not np.isfinite(voxels).all():
        raise SeriesRefused("the series has voxels that are no numbers")
    if voxels.min() == voxels.max():
        raise SeriesRefused("all voxels of the series have the same value")
    return voxels
