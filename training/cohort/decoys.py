"""What FLAIR shows bright and T1 dark in a brain and is no metastasis: it never enhances, and is never in the truth.

Called by scene.py. Spots of the white matter, as every second patient of this age has; and, in the randomised mode,
whole areas (oedema that lies beside a lesion and not around it, gliosis, an old infarct, the cavity of an operation),
the caps and bands of the ventricles, and pockets of fluid in a bright border (lacunes, the tip of an occipital horn). A
network that has seen none of these takes the dark oedema next to a tumour's rim for its core, and the white matter at
the tip of a horn for a metastasis.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import ndimage

from training.cohort.fields import Float32, smooth_field
from training.cohort.lesion_shape import Box, Form, body_distance, box_around, membership
from training.cohort.lesions import SUSCEPTIBLE, Float64, Lesion, UInt8
from training.cohort.tissues import BRAIN, Tissue
from worker.volume.geometry import Grid

_COARSE: Final = 2
"""Places are drawn at every second voxel."""
_BESIDE: Final = 0.5
"""Probability that a lesion has an area at its side."""
_SMALLEST_MM, _LARGEST_MM = 3.0, 24.0
"""Radius of an area."""
_CAPPED: Final = 0.65
"""Probability of caps and bands along the ventricles."""
_CAP_MM: Final = (1.0, 5.0)
"""How far they reach on average."""
_POCKET_MM: Final = (1.2, 5.0)
"""Radius of a pocket of fluid; its border is as wide as its radius at most."""
_KINDS: Final = (Tissue.OEDEMA, Tissue.NECROSIS, Tissue.CYST)
_ODDS: Final = (0.7, 0.2, 0.1)
"""What an area is made of, and how often; beside a lesion it is oedema, as a dark core there belongs to the lesion."""


def draw_white_matter_lesions(tissue: UInt8, grid: Grid, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Small bright spots of FLAIR that do not enhance, and lacunes."""
    spacing = _spacing(grid)
    lesions = []
    for centre in _places(tissue, int(rng.geometric(0.09)) - 1, rng):
        form = Form(radius_mm=float(np.exp(rng.normal(np.log(1.8), 0.5))), irregularity=0.25)
        box = box_around(grid.shape_zyx, centre, (form.radius_mm * 2 + 2) / spacing)
        distance = body_distance(rng, form, box, centre, grid.spacing_mm_xyz[::-1])
        spot = membership(distance, 2.0) * np.float32(rng.uniform(0.3, 1.0))
        spot = spot * np.isin(tissue[box], BRAIN)
        made_of = Tissue.CYST if rng.random() < 0.1 else Tissue.OEDEMA
        lesions.append(_decoy("white-matter", box, spot.astype(np.float32), made_of, centre))
    return tuple(lesions)


def draw_areas(tissue: UInt8, grid: Grid, rng: np.random.Generator, lesions: Sequence[Lesion]) -> tuple[Lesion, ...]:
    """Large areas that do not enhance: beside some of the `lesions`, and elsewhere in some patients."""
    spacing = _spacing(grid)
    planned: list[tuple[Float64, float, Tissue]] = []
    for lesion in lesions:
        radius_mm = float(np.cbrt(lesion.body.sum() * grid.voxel_volume_mm3 * 3 / (4 * np.pi)))
        if radius_mm > 2 and rng.random() < _BESIDE:
            size = float(np.clip(rng.uniform(0.6, 1.8) * radius_mm, _SMALLEST_MM, _LARGEST_MM))
            way = rng.standard_normal(3)
            way *= (radius_mm + rng.uniform(0.3, 0.9) * size) / np.linalg.norm(way)
            planned.append((np.array(lesion.centre_zyx) + way / spacing, size, Tissue.OEDEMA))
    for centre in _places(tissue, int(rng.geometric(0.45)) - 1, rng):
        size = float(np.clip(np.exp(rng.normal(np.log(8), 0.5)), _SMALLEST_MM, _LARGEST_MM))
        planned.append((centre, size, _KINDS[int(rng.choice(len(_KINDS), p=_ODDS))]))
    return tuple(_area(tissue, grid, rng, centre, size, made_of) for centre, size, made_of in planned)


def draw_caps(tissue: UInt8, grid: Grid, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """White matter along the ventricles that swells in patches, thickest where a smooth field has it; one or none."""
    coarse = tissue[::_COARSE, ::_COARSE, ::_COARSE] == Tissue.VENTRICLE
    if rng.random() > _CAPPED or not coarse.any():
        return ()
    spacing, reach_mm = _spacing(grid), float(np.exp(rng.uniform(*np.log(_CAP_MM))))
    found = _COARSE * np.argwhere(coarse)
    middle = (found.min(axis=0) + found.max(axis=0)) / 2
    box = box_around(grid.shape_zyx, middle, (found.max(axis=0) - found.min(axis=0)) / 2 + (4 * reach_mm + 2) / spacing)
    outside = np.asarray(tissue[box] != Tissue.VENTRICLE)
    distance = ndimage.distance_transform_edt(outside, sampling=spacing)
    shape = (outside.shape[0], outside.shape[1], outside.shape[2])
    z, y, x = (float(mm) for mm in spacing)
    thickness = np.float32(reach_mm) * np.exp(np.float32(0.7) * smooth_field(rng, shape, (z, y, x), 8.0))
    share = np.clip(1.5 - distance / thickness, 0, 1) * SUSCEPTIBLE[tissue[box]] * np.float32(rng.uniform(0.3, 1.0))
    return (_decoy("cap", box, share.astype(np.float32), Tissue.OEDEMA, middle),)


def draw_pockets(tissue: UInt8, grid: Grid, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Fluid in the white matter, stretched, mostly in a border that swells: two decoys each, the border first."""
    spacing = _spacing(grid)
    z, y, x = (float(mm) for mm in spacing)
    drawn = []
    for centre in _places(tissue, int(rng.geometric(0.35)) - 1, rng):
        radius_mm = float(np.exp(rng.uniform(*np.log(_POCKET_MM))))
        form = Form(radius_mm=radius_mm, irregularity=float(rng.uniform(0.1, 0.3)), elongation=0.4)
        box = box_around(grid.shape_zyx, centre, (radius_mm * 4 + 3) / spacing)
        distance = body_distance(rng, form, box, centre, (z, y, x))
        for made_of, reach_mm, border_mm in (
            (Tissue.OEDEMA, float(rng.uniform(-0.3, 1.0)) * radius_mm, 2.0),
            (Tissue.CSF, 0.0, 1.0),
        ):
            share = membership((distance - np.float32(reach_mm)).astype(np.float32), border_mm)
            share = (share * np.isin(tissue[box], BRAIN)).astype(np.float32)
            drawn.append(_decoy("pocket", box, share, made_of, centre))
    return tuple(drawn)


def _area(
    tissue: UInt8, grid: Grid, rng: np.random.Generator, centre: Float64, radius_mm: float, made_of: Tissue
) -> Lesion:
    form = Form(radius_mm=radius_mm, irregularity=float(rng.uniform(0.1, 0.3)), elongation=0.3)
    box = box_around(grid.shape_zyx, centre, (radius_mm * 2 + 3) / _spacing(grid))
    soft = membership(body_distance(rng, form, box, centre, grid.spacing_mm_xyz[::-1]), float(rng.uniform(1.5, 5)))
    share = soft * SUSCEPTIBLE[tissue[box]] ** np.float32(rng.uniform(0.2, 1.0)) * np.float32(rng.uniform(0.4, 1.0))
    return _decoy("area", box, share.astype(np.float32), made_of, centre)


def _decoy(kind: str, box: Box, share: Float32, made_of: Tissue, centre: Float64) -> Lesion:
    zeros = np.zeros_like(share)
    return Lesion(
        kind=kind,
        box=box,
        body=zeros,
        core=zeros,
        oedema=share,
        gd_mm=zeros,
        solid_tissue=made_of,
        core_tissue=Tissue.CYST,
        t1_factor=1.0,
        centre_zyx=(float(centre[0]), float(centre[1]), float(centre[2])),
    )


def _places(tissue: UInt8, count: int, rng: np.random.Generator) -> list[Float64]:
    """So many places of the white matter, as voxels (z, y, x)."""
    coarse = tissue[::_COARSE, ::_COARSE, ::_COARSE]
    found = np.flatnonzero((coarse == Tissue.WHITE).ravel())
    if not len(found):
        return []
    at = np.unravel_index(rng.choice(found, size=count), coarse.shape)
    return [np.array(place, dtype=np.float64) * _COARSE for place in np.stack(at, axis=-1)]


def _spacing(grid: Grid) -> Float64:
    """(3,) mm along z, y, x."""
    return np.array(grid.spacing_mm_xyz[::-1], dtype=np.float64)
