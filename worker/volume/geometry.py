"""Where voxels lie in the patient: grids and volumes in LPS millimetres (PS3.3 C.7.6.2.1.1).

Everything in worker and training that holds voxels holds them as a `Volume`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A regular grid of voxel centres."""

    shape_zyx: tuple[int, int, int]
    affine: Float64
    """(4, 4): homogeneous index (x, y, z) = (column, row, slice) -> LPS mm."""

    @property
    def spacing_mm_xyz(self) -> tuple[float, float, float]:
        """Distance of neighbouring centres along column index, row index, slice index."""
        x, y, z = (float(v) for v in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    @property
    def voxel_volume_mm3(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def direction(self) -> Float64:
        """(3, 3): its columns are the unit vectors of the x, y and z index axes in LPS."""
        unit: Float64 = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return unit

    def to_mm(self, index_zyx: NDArray[Any]) -> Float64:
        """(..., 3) indices in the order z, y, x -> (..., 3) LPS mm."""
        xyz = np.asarray(index_zyx, dtype=np.float64)[..., ::-1]
        moved: Float64 = xyz @ self.affine[:3, :3].T + self.affine[:3, 3]
        return moved

    def to_index(self, point_mm: NDArray[Any]) -> Float64:
        """(..., 3) LPS mm -> (..., 3) continuous indices in the order z, y, x."""
        inverse = np.linalg.inv(self.affine)
        xyz = np.asarray(point_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        zyx: Float64 = xyz[..., ::-1]
        return zyx

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Equal shape, and corners that lie within the tolerance."""
        if self.shape_zyx != other.shape_zyx:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape_zyx])).reshape(3, -1).T
        return bool(np.abs(self.to_mm(corners) - other.to_mm(corners)).max() <= tolerance_mm)


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Voxels with their place."""

    voxels: Float32
    """(Z, Y, X) float32."""
    grid: Grid

    def to_sitk(self) -> Any:
        """As a SimpleITK image (left-handed grids allowed: ITK takes any orthonormal direction)."""
        image = sitk.GetImageFromArray(self.voxels)
        image.SetSpacing(self.grid.spacing_mm_xyz)
        image.SetOrigin([float(v) for v in self.grid.affine[:3, 3]])
        image.SetDirection([float(v) for v in self.grid.direction.ravel()])
        return image

    @classmethod
    def from_sitk(cls, image: Any) -> "Volume":
        """From a 3D SimpleITK image; ITK's physical space is LPS mm."""
        direction = np.array(image.GetDirection()).reshape(3, 3)
        affine = np.eye(4)
        affine[:3, :3] = direction * np.array(image.GetSpacing())
        affine[:3, 3] = image.GetOrigin()
        voxels = sitk.GetArrayFromImage(image).astype(np.float32)
        x, y, z = image.GetSize()
        return cls(voxels=voxels, grid=Grid(shape_zyx=(z, y, x), affine=affine))

    @classmethod
    def from_ras(cls, array_xyz: NDArray[Any], affine: NDArray[Any]) -> "Volume":
        """From NIfTI: (X, Y, Z) voxels and the (4, 4) affine index -> RAS mm (as nibabel gives them)."""
        voxels = np.ascontiguousarray(np.asarray(array_xyz, dtype=np.float32).T)
        z, y, x = voxels.shape
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(affine, dtype=np.float64)
        return cls(voxels=voxels, grid=Grid(shape_zyx=(z, y, x), affine=lps))


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesVolume:
    """One DICOM series as a volume, with what results need of its headers."""

    volume: Volume
    headers: tuple[Any, ...]
    """pydicom data sets without pixel data: one a slice in the order of z (classic MR), or a single one (enhanced)."""
    series_instance_uid: str
    frame_of_reference_uid: str
