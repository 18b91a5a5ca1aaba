"""NIfTI files as volumes: read to the last byte, and refused where a voxel or the affine cannot be what a scan holds.

Called by training/cases/case. Knows nothing of slots or patients.
"""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from training.cases.errors import CaseError
from worker.volume.geometry import Float32, Float64, Volume

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    zlib.error,
    nibabel.filebasedimages.ImageFileError,
    nibabel.spatialimages.HeaderDataError,
)
"""What nibabel, gzip and numpy raise on damaged files."""
_SHEAR = 1e-3
"""Cosine between two axes up to which they are taken as perpendicular: 0.2 mm over a head, float32 rounds finer."""
_CHUNK_BYTES = 1 << 24


def read_nifti(path: Path) -> Volume:
    """A NIfTI file as a volume in LPS mm, float32. Raises `CaseError` where it cannot be read whole, is not 3D, holds
    colours, complex numbers or none at all, or has an affine that is singular or sheared.
    """
    try:
        if path.suffix == ".gz":
            _check_sum(path)
        image: Any = nibabel.load(path)
        kind = image.get_data_dtype().kind
        if kind in "biuf":
            with np.errstate(over="ignore", invalid="ignore"):
                voxels = np.asanyarray(image.dataobj, dtype=np.float32)
    except _UNREADABLE as error:
        raise CaseError(f"{path} cannot be read as NIfTI: {error}") from error
    if kind not in "biuf":
        raise CaseError(f"{path} holds {image.get_data_dtype()}, one real number a voxel is needed")
    affine = np.asarray(image.affine, dtype=np.float64)
    _check(path, affine)
    return Volume.from_ras(_finite_3d(path, voxels), affine)


def _check_sum(path: Path) -> None:
    """Read to the end, where gzip compares its sum: nibabel stops after the last voxel."""
    with gzip.open(path) as stream:
        while stream.read(_CHUNK_BYTES):
            pass


def _finite_3d(path: Path, voxels: Float32) -> Float32:
    if voxels.ndim == 4 and voxels.shape[3] == 1:
        voxels = voxels[..., 0]
    if voxels.ndim != 3:
        raise CaseError(f"{path} has {voxels.ndim} dimensions, a volume has 3")
    if not np.isfinite(voxels).all():
        raise CaseError(f"{path} has voxels that are no finite numbers (NaN or infinite)")
    return voxels


def _check(path: Path, affine: Float64) -> None:
    """ITK takes perpendicular axes only; it would show a sheared volume at another place."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not lengths.all():
        raise CaseError(f"{path} has no usable affine: it must give each axis a length")
    unit = affine[:3, :3] / lengths
    if np.abs(unit.T @ unit - np.eye(3)).max() > _SHEAR:
        raise CaseError(f"{path} has a sheared affine: its axes are not perpendicular")
