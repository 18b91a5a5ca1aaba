"""Pairs of series with a known rigid way between them, for the benchmark of the co-registration and of its gate.

    for pair in synthetic_pairs(Site.A, seed=1): ...        # training.cohort: native grids, known poses
    for pair in real_pairs(folder_of_gliomas): ...          # co-registered 1 mm volumes, moved by known transforms

Every second pair lies as the scanner's frame has it (a little motion between two series of one session); in the others
the patient lay down anew: the moving series is displaced by some centimetres and degrees.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dicom_node.contract.slots import SequenceSlot
from training.cohort.acquire import sample
from training.cohort.motion import STILL, Pose, random_pose
from training.cohort.patient import Options, brain_on, make_patient
from training.cohort.protocol import Site
from worker.volume.geometry import Float64, Grid, Volume

ANEW_DEGREES, ANEW_MM = 6.0, 10.0
"""One sigma an axis of how differently a patient lies who lay down anew."""
THICK_MM = 5.0
_POINTS = 4000


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two series of one head. `truth` (4, 4) takes LPS mm of the fixed to those of the moving series."""

    name: str
    group: str
    fixed: Volume
    moving: Volume
    truth: Float64
    points_mm: Float64
    """(N, 3): places in the brain of the fixed series."""
    anew: bool = False

    def error_mm(self, transform: Float64) -> float:
        """Target registration error: mean distance over the brain from where `transform` puts it to where it lies."""
        return float(
            np.linalg.norm(moved(self.points_mm, transform) - moved(self.points_mm, self.truth), axis=1).mean()
        )


def moved(points_mm: Float64, transform: Float64) -> Float64:
    result: Float64 = points_mm @ transform[:3, :3].T + transform[:3, 3]
    return result


def synthetic_pairs(site: Site, seed: int, anatomy: Path | None = None) -> Iterator[Pair]:
    """Every series of one synthetic patient against its reference; of FLAIR also one of 5 mm slices."""
    patient = make_patient(seed, site, Options(anatomy=anatomy))
    volumes = {
        slot: _kept(patient.keep, patient.scene.grid, v, patient.poses[slot]) for slot, v in patient.volumes.items()
    }
    fixed = volumes[patient.reference]
    points = _points(fixed.grid, brain_on(patient, fixed.grid) > 0)
    stripped = ", no skull" if patient.protocol.stripped else ""
    for number, slot in enumerate(s for s in volumes if s != patient.reference):
        pair = Pair(
            name=f"site {site} {seed} {slot} to {patient.reference}{stripped}",
            group=f"synthetic, site {site}",
            fixed=fixed,
            moving=volumes[slot],
            truth=patient.poses[slot].matrix,
            points_mm=points,
        )
        rng = np.random.default_rng([seed, number, list(Site).index(site)])
        pair = _lain_anew(pair, rng) if (seed + number) % 2 else pair
        yield pair
        if slot is SequenceSlot.FLAIR and max(pair.moving.grid.spacing_mm_xyz) < THICK_MM / 2:
            yield replace(
                pair,
                name=f"{pair.name}, {THICK_MM:.0f} mm",
                group=f"{pair.group}, 5 mm slices",
                moving=thick(pair.moving),
            )


def real_pairs(case: Path, seed: int) -> Iterator[Pair]:
    """T1 and FLAIR of one glioma of BraTS against its post-Gd T1, each moved and sampled anew on a grid of its own."""
    fixed, t1, flair = (_nifti(case, kind) for kind in ("t1ce", "t1", "flair"))
    points = _points(fixed.grid, fixed.voxels > 0)
    for number, (name, still) in enumerate({"T1": t1, "FLAIR": flair}.items()):
        rng = np.random.default_rng([seed, number])
        pose = random_pose(rng, ANEW_DEGREES, ANEW_MM) if (seed + number) % 2 else random_pose(rng, 1.0, 1.0)
        moving = sample(still, _other_grid(fixed.grid), pose)
        pair = Pair(
            name=f"{case.name} {name}", group="real gliomas", fixed=fixed, moving=moving,
            truth=pose.matrix, points_mm=points, anew=bool((seed + number) % 2),
        )  # fmt: skip
        yield pair
        if name == "FLAIR":
            yield replace(
                pair,
                name=f"{pair.name}, {THICK_MM:.0f} mm",
                group="real gliomas, 5 mm slices",
                moving=thick(pair.moving),
            )


def thick(volume: Volume) -> Volume:
    """The same series as axial slices of 5 mm: means of 1 mm slices."""
    low, high = _corners(volume.grid).min(axis=0), _corners(volume.grid).max(axis=0)
    count = np.floor(high - low).astype(int)
    count[2] -= count[2] % int(THICK_MM)
    fine = sample(volume, _axial(low, count, (1.0, 1.0, 1.0)), STILL).voxels
    slices = fine.reshape(-1, int(THICK_MM), *fine.shape[1:]).mean(axis=1)
    grid = _axial(
        low + np.array([0, 0, (THICK_MM - 1) / 2]), np.array([count[0], count[1], len(slices)]), (1.0, 1.0, THICK_MM)
    )
    return Volume(voxels=slices, grid=grid)


def displaced(volume: Volume, way: Float64) -> Volume:
    """The same voxels elsewhere in the scanner."""
    return Volume(voxels=volume.voxels, grid=Grid(shape_zyx=volume.grid.shape_zyx, affine=way @ volume.grid.affine))


def mirrored(volume: Volume) -> Volume:
    """Left and right exchanged, as a wrong reader or a wrong header does it."""
    axis = int(np.argmax(np.abs(volume.grid.affine[0, :3])))
    return Volume(voxels=np.ascontiguousarray(np.flip(volume.voxels, 2 - axis)), grid=volume.grid)


def about(points_mm: Float64, degrees: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> Float64:
    """(4, 4): a turn about the middle of the points, then a shift."""
    turn = _turn(degrees)
    centre = points_mm.mean(axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre - turn @ centre + shift_mm
    return matrix


def _turn(degrees: tuple[float, float, float]) -> Float64:
    turn: Float64 = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    return turn


def _lain_anew(pair: Pair, rng: np.random.Generator) -> Pair:
    way = about(pair.points_mm, tuple(rng.normal(0, ANEW_DEGREES, 3)), tuple(rng.normal(0, ANEW_MM, 3)))
    return replace(pair, moving=displaced(pair.moving, way), truth=way @ pair.truth, anew=True)


def _kept(keep: NDArray[np.float32] | None, grid: Grid, volume: Volume, pose: Pose) -> Volume:
    """The series without its skull or face where the patient's were taken off."""
    if keep is None:
        return volume
    left = sample(Volume(voxels=keep, grid=grid), volume.grid, pose, nearest=True)
    return Volume(voxels=volume.voxels * left.voxels, grid=volume.grid)


def _points(grid: Grid, brain: NDArray[np.bool_]) -> Float64:
    indices = np.argwhere(brain)
    return grid.to_mm(indices[:: max(1, len(indices) // _POINTS)])


def _corners(grid: Grid) -> Float64:
    return grid.to_mm(np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape_zyx])).reshape(3, -1).T)


def _axial(first: Float64, count_xyz: NDArray[np.int64], spacing_xyz: tuple[float, float, float]) -> Grid:
    affine = np.diag([*spacing_xyz, 1.0])
    affine[:3, 3] = first
    x, y, z = (int(n) for n in count_xyz)
    return Grid(shape_zyx=(z, y, x), affine=affine)


def _other_grid(grid: Grid) -> Grid:
    """Sagittal slices over the same field of view, half a voxel beside the grid, so that no voxels coincide."""
    low, high = _corners(grid).min(axis=0), _corners(grid).max(axis=0)
    x, y, z = np.ceil(high - low).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], dtype=float)
    affine[:3, 3] = [high[0] - 0.37, low[1] + 0.41, high[2] - 0.29]
    return Grid(shape_zyx=(int(x), int(z), int(y)), affine=affine)


def _nifti(case: Path, kind: str) -> Volume:
    image = nibabel.load(next(case.glob(f"*_{kind}.nii.gz")))
    return Volume.from_ras(np.asarray(image.dataobj, dtype=np.float32), image.affine)
