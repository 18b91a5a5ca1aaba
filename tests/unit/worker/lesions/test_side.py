"""The half of the head of a lesion, however the head lies and the scanner counts; nothing where it is not clear."""

import numpy as np
import pytest
from support.heads import rigid, synthetic_head

from worker.lesions.components import LesionMap
from worker.lesions.describe import describe_lesions
from worker.lesions.side import mirror_plane, side_of
from worker.lesions.tracking import track_lesions
from worker.volume.geometry import Float64, Grid, Volume

BALL = np.stack(np.meshgrid(*[np.arange(-4.0, 5.0, 2.0)] * 3), axis=-1).reshape(-1, 3)
POSES = {
    "straight": rigid(),
    "turned": rigid((5.0, -8.0, 3.0), (0.0, 0.0, 20.0)),
    "tilted": rigid((-12.0, 4.0, -6.0), (6.0, 15.0, -12.0)),
    "nodding": rigid((3.0, 0.0, 10.0), (20.0, -5.0, 8.0)),
}


def ball(x_mm: float, y_mm: float, z_mm: float) -> Float64:
    """Points of a lesion 8 mm wide."""
    return BALL + np.array([x_mm, y_mm, z_mm])


def moved(points_mm: Float64, pose: Float64) -> Float64:
    there: Float64 = points_mm @ pose[:3, :3].T + pose[:3, 3]
    return there


@pytest.mark.parametrize(
    ("contrast", "pose"), [*(("BRAVO", pose) for pose in POSES), ("POST_CUBE", "tilted"), ("FLAIR", "tilted")]
)
def test_the_side_is_the_patients_own(contrast: str, pose: str) -> None:
    plane = mirror_plane(synthetic_head(contrast, seed=3, moved=POSES[pose]))
    for x_mm, side in ((30.0, "left"), (12.0, "left"), (0.0, ""), (7.0, ""), (-12.0, "right"), (-45.0, "right")):
        for y_mm in (-50.0, 0.0, 40.0):
            assert side_of(moved(ball(x_mm, y_mm, 20.0), POSES[pose]), plane) == side


def test_the_order_of_the_voxels_does_not_matter() -> None:
    head = synthetic_head("BRAVO", seed=3, moved=POSES["turned"])
    affine = head.grid.affine.copy()
    affine[:3, 3] = head.grid.to_mm(np.array([0, 0, head.grid.shape_zyx[2] - 1]))
    affine[:3, 0] *= -1
    sagittal = affine[:, [1, 2, 0, 3]]  # columns run along y, rows along z, slices from left to right
    voxels = head.voxels[:, :, ::-1].transpose(2, 0, 1)
    z, y, x = voxels.shape
    other = mirror_plane(Volume(voxels=voxels, grid=Grid(shape_zyx=(z, y, x), affine=sagittal)))
    plane = mirror_plane(head)
    assert other.normal == pytest.approx(plane.normal, abs=0.02)
    assert other.offset_mm == pytest.approx(plane.offset_mm, abs=1.0)


def test_a_large_bright_lesion_does_not_draw_the_plane() -> None:
    head = synthetic_head("FLAIR", seed=3)
    voxels = head.voxels.copy()
    centres_mm = head.grid.to_mm(np.moveaxis(np.indices(voxels.shape), 0, -1))
    voxels[np.linalg.norm(centres_mm - [35.0, 10.0, 20.0], axis=-1) < 22.0] *= 3.0
    plane = mirror_plane(Volume(voxels=voxels, grid=head.grid))
    bare = mirror_plane(head)
    assert plane.offset_mm == pytest.approx(bare.offset_mm, abs=1.5)
    assert plane.normal == pytest.approx(bare.normal, abs=0.03)


def test_what_is_like_no_mirror_image_has_no_side() -> None:
    grid = synthetic_head("BRAVO", seed=3).grid
    noise = np.random.default_rng(1).uniform(0, 100, grid.shape_zyx).astype(np.float32)
    for voxels in (noise, np.zeros_like(noise)):
        plane = mirror_plane(Volume(voxels=voxels, grid=grid))
        assert side_of(ball(40.0, 0.0, 0.0), plane) == ""


def test_the_site_stands_in_the_lesion() -> None:
    head = synthetic_head("BRAVO", seed=3)
    labels = np.zeros(head.grid.shape_zyx, dtype=np.uint16)
    for number, x_mm in enumerate((30.0, -30.0, 0.0), start=1):
        z, y, x = np.rint(head.grid.to_index(np.array([x_mm, 0.0, 20.0]))).astype(int)
        labels[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = number
    record = track_lesions(
        LesionMap(labels=labels, grid=head.grid, count=3),
        study_instance_uid="1.2.3",
        snapshot_digest="0" * 64,
        frame_of_reference_uid="1.2.4",
    )
    probability = Volume(voxels=(labels > 0).astype(np.float32), grid=head.grid)
    sites = [lesion.site for lesion in describe_lesions(record, probability, head)]
    assert sites == ["left half of the brain", "right half of the brain", ""]
