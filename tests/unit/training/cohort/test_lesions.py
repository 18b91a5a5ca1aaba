"""Metastases are as many, as large and where the paper's cohort has them; small ones are not left out."""

import numpy as np
import pytest
from scipy import ndimage

from training.cohort.decoys import draw_areas, draw_caps, draw_pockets, draw_white_matter_lesions
from training.cohort.lesion_shape import Form, body_distance, box_around, core_membership, membership
from training.cohort.lesions import _count, _form, draw_lesions
from training.cohort.protocol import Site
from training.cohort.scene import scene_grid
from training.cohort.tissues import BRAIN, INTRACRANIAL, Tissue


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    """A ball of white matter in a shell of grey matter in a shell of fluid, on the scene's grid."""
    grid = scene_grid()
    axes = [
        np.arange(n) * s + o for n, s, o in zip(grid.shape_zyx, (1, 0.9375, 0.9375), grid.affine[2::-1, 3], strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(z**2 + y**2 + x**2)
    out = np.zeros(grid.shape_zyx, dtype=np.uint8)
    for limit, kind in ((80, Tissue.BONE), (74, Tissue.CSF), (70, Tissue.GREY), (64, Tissue.WHITE)):
        out[radius < limit] = kind
    return out


def test_diameters_reach_from_2_to_35_mm_and_small_ones_are_common() -> None:
    """At least a quarter below 5 mm, at least a tenth above 12 mm, none outside 2-35 mm."""
    rng = np.random.default_rng(0)
    diameters = 2 * np.array([_form(rng)[1].radius_mm for _ in range(3000)])
    assert diameters.min() >= 2
    assert diameters.max() <= 35
    assert np.mean(diameters < 5) > 0.25
    assert np.mean(diameters > 12) > 0.1


def test_patients_have_1_to_20_metastases() -> None:
    """Most have few, some many."""
    rng = np.random.default_rng(0)
    counts = np.array([_count(rng) for _ in range(2000)])
    assert counts.min() == 1
    assert counts.max() == 20
    assert 0.55 < np.mean(counts <= 3) < 0.7


@pytest.mark.parametrize("diameter", [2.0, 3.0, 6.0, 20.0])
def test_a_lesions_soft_voxels_sum_to_its_volume(diameter: float) -> None:
    """Partial volume keeps even a 2 mm lesion's volume within half, larger ones within a fifth."""
    spacing, centre = (1.0, 0.9375, 0.9375), np.array([50.2, 60.7, 61.1])
    form = Form(radius_mm=diameter / 2, irregularity=0.0, elongation=0.0)
    box = box_around((100, 120, 120), centre, np.full(3, diameter + 3))
    body = membership(body_distance(np.random.default_rng(0), form, box, centre, spacing))
    assert body.sum() * np.prod(spacing) == pytest.approx(np.pi / 6 * diameter**3, rel=0.55 if diameter < 3 else 0.2)


def test_lesions_lie_in_the_brain_and_apart(tissue: np.ndarray) -> None:
    """No truth in bone or air; as many separate bodies as lesions unless two grew together."""
    lesions = draw_lesions(tissue.copy(), scene_grid(), np.random.default_rng(3), Site.A, count=12)
    assert 9 <= len(lesions) <= 12
    share = np.zeros(tissue.shape, dtype=np.float32)
    for lesion in lesions:
        assert lesion.body.max() > 0.5
        np.maximum(share[lesion.box], lesion.body, out=share[lesion.box])
    inside = np.isin(tissue, (Tissue.WHITE, Tissue.GREY, Tissue.CSF))
    assert not share[~inside].any()
    bodies = ndimage.label(share > 0.5, structure=np.ones((3, 3, 3)))[1]
    assert bodies >= len(lesions) - 3


@pytest.mark.parametrize("site", list(Site))
def test_a_patient_of_whom_no_metastasis_is_asked_has_none(tissue: np.ndarray, site: Site) -> None:
    """No glioma either, at the randomised site."""
    for seed in range(10):
        assert draw_lesions(tissue, scene_grid(), np.random.default_rng(seed), site, count=0) == ()


def test_the_rim_of_a_glioma_may_be_open_and_that_of_a_metastasis_is_not() -> None:
    """How much of the millimetre below the border is core: nothing, or a part of it."""
    grid = scene_grid()
    centre = np.array([100.0, 128.0, 128.0])
    box = box_around(grid.shape_zyx, centre, np.array([30.0, 30.0, 30.0]))
    open_share = {}
    for uneven in (0.4, 1.6):
        form = Form(radius_mm=18, irregularity=0.1, rim_mm=5.0, rim_uneven=uneven)
        rng = np.random.default_rng(2)
        distance = body_distance(rng, form, box, centre, (1.0, 0.9375, 0.9375))
        core = core_membership(rng, form, distance, (1.0, 0.9375, 0.9375))
        border = (distance < -0.5) & (distance > -1.5)
        open_share[uneven] = float((core[border] > 0.5).mean())
    assert open_share[0.4] < 0.01
    assert 0.1 < open_share[1.6] < 0.5


def test_spots_of_white_matter_are_no_truth(tissue: np.ndarray) -> None:
    """They have oedema's signal and no body."""
    spots = [
        s for seed in range(5) for s in draw_white_matter_lesions(tissue, scene_grid(), np.random.default_rng(seed))
    ]
    assert spots
    assert not any(spot.body.any() for spot in spots)
    assert all(spot.kind == "white-matter" for spot in spots)


def test_areas_lie_beside_lesions_and_elsewhere_and_never_enhance(tissue: np.ndarray) -> None:
    """About every second lesion has one within reach; none has a body, and none swells bone or fluid."""
    grid = scene_grid()
    lesions = draw_lesions(tissue.copy(), grid, np.random.default_rng(3), Site.A, count=12)
    areas = [area for seed in range(4) for area in draw_areas(tissue, grid, np.random.default_rng(seed), lesions)]
    assert 4 <= len(areas) <= 36
    for area in areas:
        assert area.kind == "area"
        assert not area.body.any()
        assert area.oedema.max() <= 1
        assert not area.oedema[np.isin(tissue[area.box], (Tissue.BONE, Tissue.CSF, Tissue.AIR))].any()
    grey = np.where(tissue == Tissue.WHITE, Tissue.GREY, tissue).astype(np.uint8)
    beside = [area for seed in range(4) for area in draw_areas(grey, grid, np.random.default_rng(seed), lesions)]
    assert beside
    assert {area.solid_tissue for area in beside} == {Tissue.OEDEMA}, "a dark core beside a rim belongs to its lesion"
    assert not draw_areas(np.full_like(tissue, Tissue.BONE), grid, np.random.default_rng(0), ())


def test_caps_lie_along_the_ventricles_in_most_heads_and_never_enhance(tissue: np.ndarray) -> None:
    """Within centimetres of a ventricle, most at its border; no body, and none in fluid. No ventricle, no cap."""
    grid = scene_grid()
    with_ventricle = tissue.copy()
    with_ventricle[90:110, 110:150, 115:130] = Tissue.VENTRICLE
    away = ndimage.distance_transform_edt(with_ventricle != Tissue.VENTRICLE, sampling=grid.spacing_mm_xyz[::-1])
    drawn = [draw_caps(with_ventricle, grid, np.random.default_rng(seed)) for seed in range(12)]
    caps = [cap for found in drawn for cap in found]
    assert 4 <= len(caps) < 12
    for cap in caps:
        assert cap.kind == "cap"
        assert not cap.body.any()
        assert not cap.oedema[np.isin(with_ventricle[cap.box], (Tissue.VENTRICLE, Tissue.CSF, Tissue.BONE))].any()
        near = away[cap.box]
        assert cap.oedema[(near > 0) & (near < 2)].mean() > 4 * cap.oedema[near > 10].mean()
        assert 0 < cap.oedema.max() <= 1
    assert not any(draw_caps(tissue, grid, np.random.default_rng(seed)) for seed in range(4))


def test_pockets_of_fluid_lie_in_the_brain_in_a_border_that_swells_and_never_enhance(tissue: np.ndarray) -> None:
    """Two decoys each, painted one over the other: the border, then its fluid. None leaves the brain."""
    grid = scene_grid()
    drawn = [draw_pockets(tissue, grid, np.random.default_rng(seed)) for seed in range(12)]
    assert any(not found for found in drawn)
    pockets = [pocket for found in drawn for pocket in found]
    assert len(pockets) >= 12
    wider = 0
    for border, fluid in zip(pockets[::2], pockets[1::2], strict=True):
        assert (border.solid_tissue, fluid.solid_tissue) == (Tissue.OEDEMA, Tissue.CSF)
        assert border.box == fluid.box
        for pocket in (border, fluid):
            assert pocket.kind == "pocket"
            assert not pocket.body.any()
            assert not pocket.oedema[~np.isin(tissue[pocket.box], BRAIN)].any()
        wider += bool(border.oedema.sum() > 1.2 * fluid.oedema.sum())
    assert wider > len(pockets) / 4


def test_the_randomised_site_has_pale_uneven_and_shallow_lesions_and_the_others_do_not(tissue: np.ndarray) -> None:
    """Contrast of half of what sites A and B clip at, faint parts, and bodies that end at the brain's surface."""
    grid = scene_grid()
    tissue = tissue.copy()
    tissue[tissue == Tissue.GREY] = Tissue.WHITE
    tissue[tissue == Tissue.CSF] = Tissue.GREY
    inside = np.isin(tissue, INTRACRANIAL)[::2, ::2, ::2]
    depth = ndimage.distance_transform_edt(inside, sampling=[2 * mm for mm in grid.spacing_mm_xyz[::-1]])
    pale, uneven, shallow = {}, {}, {}
    for site in (Site.A, Site.RANDOMISED):
        found = [
            lesion
            for seed in range(16)
            for lesion in draw_lesions(tissue.copy(), grid, np.random.default_rng(seed), site, count=8)
        ]
        uptake = [lesion.gd_mm[lesion.body > 0.5] for lesion in found]
        pale[site] = min(float(np.median(gd)) for gd in uptake)
        uneven[site] = max(float(np.log(gd).std()) for gd in uptake)
        reach = [np.cbrt(lesion.body.sum() * grid.voxel_volume_mm3 * 3 / (4 * np.pi)) for lesion in found]
        at = [depth[tuple(round(c / 2) for c in lesion.centre_zyx)] for lesion in found]
        shallow[site] = sum(bool(d < 0.5 * mm) for d, mm in zip(at, reach, strict=True))
    assert pale[Site.A] > 0.055
    assert pale[Site.RANDOMISED] < 0.045
    assert uneven[Site.A] < 0.4
    assert uneven[Site.RANDOMISED] > 0.5
    assert shallow[Site.A] == 0
    assert shallow[Site.RANDOMISED] > 0
