"""A scene in a contrast: what a lesion is made of, part by part."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from dicom_node.contract.slots import SequenceSlot
from training.cohort.fields import Float32
from training.cohort.lesions import Lesion
from training.cohort.patient import Patient
from training.cohort.protocol import Site
from training.cohort.scene import brain_mask, paint, scene_grid, wide_dura_share
from training.cohort.signal import signal
from training.cohort.tissues import BRAIN, DENSE_T2, WET_T2, Tissue, with_gadolinium
from training.cohort.vessels import draw_vessels, superficial
from worker.volume.geometry import Grid

BOX = (slice(90, 101), slice(120, 132), slice(120, 132))
GD_MM = 0.25


def lesion(wet: Float32 | None) -> Lesion:
    """A solid box that enhances alike throughout."""
    ones = np.ones([part.stop - part.start for part in BOX], dtype=np.float32)
    return Lesion(
        kind="solid",
        box=BOX,
        body=ones,
        core=0 * ones,
        oedema=0 * ones,
        gd_mm=GD_MM * ones,
        solid_tissue=Tissue.METASTASIS,
        core_tissue=Tissue.NECROSIS,
        t1_factor=1.0,
        centre_zyx=(95.0, 126.0, 126.0),
        wet=wet,
    )


def painted(patient: Patient, slot: SequenceSlot, wet: Float32 | None) -> Float32:
    series = next(one for one in patient.protocol.series if one.slot is slot)
    scene = replace(patient.scene, lesions=(lesion(wet),))
    return paint(scene, replace(series, after_gd=slot is SequenceSlot.POST_CUBE), np.random.default_rng(0))[BOX]


def test_parts_of_a_lesion_that_enhance_alike_differ_on_flair(bare_patient: Callable[..., Patient]) -> None:
    """Dense with cells or wet, by the signal of either and in between; after contrast T1 hardly tells them apart."""
    patient = bare_patient(Site.A, "GE MEDICAL SYSTEMS")
    share = np.broadcast_to(np.linspace(0, 1, 11, dtype=np.float32)[:, None, None], (11, 12, 12))
    flair, post = (painted(patient, slot, share)[:, 0, 0] for slot in (SequenceSlot.FLAIR, SequenceSlot.POST_CUBE))
    assert flair[-1] / flair[0] > 1.4
    assert 0.8 < post[-1] / post[0] < 1.25
    table = patient.scene.table
    for slot, found in ((SequenceSlot.FLAIR, flair), (SequenceSlot.POST_CUBE, post)):
        series = next(one for one in patient.protocol.series if one.slot is slot)
        t1, t2, pd = (values[[Tissue.METASTASIS, Tissue.METASTASIS]] for values in (table.t1_ms, table.t2_ms, table.pd))
        t2 = t2 * [DENSE_T2, WET_T2]
        gd = np.full(2, GD_MM * (slot is SequenceSlot.POST_CUBE))
        white = float(signal(series.pulse, *table.relaxed(slot is SequenceSlot.POST_CUBE))[Tissue.WHITE])
        ends = signal(series.pulse, *with_gadolinium(t1, t2, gd, table.field_t), pd) / white
        assert found == pytest.approx(np.linspace(*ends, 11), rel=0.01)


def test_a_lesion_of_sites_a_and_b_is_the_tissue_of_the_table(bare_patient: Callable[..., Patient]) -> None:
    patient = bare_patient(Site.A, "GE MEDICAL SYSTEMS")
    flair = painted(patient, SequenceSlot.FLAIR, None)
    series = next(one for one in patient.protocol.series if one.slot is SequenceSlot.FLAIR)
    table = signal(series.pulse, *patient.scene.table.relaxed(False))
    assert flair == pytest.approx(np.full(flair.shape, table[Tissue.METASTASIS] / table[Tissue.WHITE]), rel=1e-5)


@pytest.fixture(scope="module")
def ball() -> tuple[Grid, NDArray[np.uint8], Float32]:
    """A head as a ball: white matter in grey matter, 5 mm of fluid, bone; and how far from the bone each voxel is."""
    grid = scene_grid()
    z, y, x = ((np.arange(n) - n / 2) * mm for n, mm in zip(grid.shape_zyx, grid.spacing_mm_xyz[::-1], strict=True))
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    tissue = np.full(grid.shape_zyx, Tissue.AIR, dtype=np.uint8)
    for least, kind in ((80, Tissue.BONE), (72, Tissue.CSF), (67, Tissue.GREY), (60, Tissue.WHITE)):
        tissue[radius < least] = kind
    return grid, tissue, (72 - radius).astype(np.float32)


def test_the_randomised_site_has_more_vessels_under_the_skull(ball: tuple[Grid, NDArray[np.uint8], Float32]) -> None:
    """Many short bright ones where stripping cuts."""
    grid, tissue, depth = ball

    def outer(wide: bool, seed: int) -> int:
        vessels = draw_vessels(tissue, grid, np.random.default_rng(seed), wide=wide)
        near: NDArray[np.bool_] = depth.ravel()[vessels.index[vessels.tissue == Tissue.BLOOD]] < 5
        return int(near.sum())

    wide, narrow = ([outer(kind, seed) for seed in range(8)] for kind in (True, False))
    assert np.mean(wide) > 1.8 * np.mean(narrow)
    starts = tissue[::2, ::2, ::2]
    shallow = superficial(starts) & (starts == Tissue.CSF)
    assert 0 < depth[::2, ::2, ::2][shallow].max() < 6


def test_stripping_leaves_the_brain_in_one_piece_and_a_margin_that_differs(
    bare_patient: Callable[..., Patient], ball: tuple[Grid, NDArray[np.uint8], Float32]
) -> None:
    """Most of the brain, now without its fluid and now with some of the bone, and no islands."""
    grid, tissue, depth = ball
    scene = replace(bare_patient(Site.A, "GE MEDICAL SYSTEMS").scene, grid=grid, tissue=tissue)
    reached = []
    for seed in range(12):
        left = brain_mask(scene, np.random.default_rng(seed)) > 0
        assert ndimage.label(left)[1] == 1
        assert left[np.isin(tissue, BRAIN)].mean() > 0.95
        reached.append(float(-depth[left].min()))
    assert max(reached) < 6
    assert min(reached) < 0 < max(reached)


def test_the_dura_of_the_randomised_site_runs_from_none_to_a_bright_line_in_patches() -> None:
    grid = scene_grid()
    dura = np.arange(100 * 256 * 256, 101 * 256 * 256)
    drawn = [wide_dura_share(dura, grid, np.random.default_rng(seed)) for seed in range(30)]
    means = [float(share.mean()) for share in drawn]
    assert min(means) < 0.15
    assert max(means) > 0.5
    assert all(share.min() >= 0 and share.max() <= 1 for share in drawn)
    patchy = [share for share in drawn if share.min() < 0.05 and share.max() > 0.6]
    assert len(patchy) > 10
