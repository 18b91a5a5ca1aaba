"""One patient before any scanner: tissues, lesions, vessels on the scene's grid, and their picture in one contrast.

`build_scene` and `paint` are called by patient.py. The scene's grid is 0.9375 x 0.9375 x 1 mm around the brain; a voxel
there is one tissue, partial volume comes with acquisition, and with the soft borders of lesions and vessels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.anatomy import load_anatomy
from training.cohort.decoys import draw_areas, draw_caps, draw_pockets, draw_white_matter_lesions
from training.cohort.deform import Warp, deform
from training.cohort.fields import Float32, smooth_field, upsample
from training.cohort.lesions import Lesion, draw_lesions
from training.cohort.protocol import Series, Site
from training.cohort.signal import Contrast, signal
from training.cohort.tissues import (
    BRAIN,
    DENSE_T2,
    INTRACRANIAL,
    WET_T2,
    Tissue,
    TissueTable,
    tissue_table,
    with_gadolinium,
    with_own_fluids,
)
from training.cohort.vessels import Vessels, draw_vessels
from worker.volume.geometry import Grid

UInt8 = NDArray[np.uint8]
_GD_STEPS: Final = np.concatenate([[0.0], np.geomspace(0.005, 3.0, 60)])
"""Concentrations, mM, between which a lesion's signal is interpolated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A patient."""

    grid: Grid
    tissue: UInt8
    table: TissueTable
    texture: Float32
    """Zero mean, unit variance: slow variation of a tissue's T1."""
    lesions: tuple[Lesion, ...]
    others: tuple[Lesion, ...]
    """What is bright on FLAIR and no metastasis."""
    vessels: Vessels
    dura: NDArray[np.int64]
    dura_share: Float32
    sinus: NDArray[np.int64]
    """Flat indices of voxels that a venous sinus fills in part or whole, and how much of them."""
    sinus_share: Float32
    texture_strength: float
    source: str


def scene_grid() -> Grid:
    """208 slices of 256 x 256; 0 mm is the brain's centre."""
    affine = np.diag([0.9375, 0.9375, 1.0, 1.0])
    affine[:3, 3] = (-127.5 * 0.9375, -127.5 * 0.9375 - 4, -104.0)
    return Grid(shape_zyx=(208, 256, 256), affine=affine)


def build_scene(
    rng: np.random.Generator, site: Site, field_t: float, anatomy: Path | None, count: int | None = None
) -> Scene:
    """Everything of a patient that no scanner changes; `count` metastases at most, or as the cohort has them."""
    head = load_anatomy(anatomy)
    grid = scene_grid()
    wide = site is Site.RANDOMISED
    tissue = deform(head, grid, rng, Warp(rotation_deg=7, scale=0.07) if wide else Warp())
    _soft_tissue(tissue, grid, rng)
    _pituitary(tissue)
    sinus, sinus_share = _smooth_sinus(tissue)
    lesions = draw_lesions(tissue, grid, rng, site, count)
    dura = np.flatnonzero(_shell(tissue))
    return Scene(
        grid=grid,
        tissue=tissue,
        table=with_own_fluids(tissue_table(field_t, rng, 0.08), rng) if wide else tissue_table(field_t, rng, 0.05),
        texture=_texture(grid, rng),
        lesions=lesions,
        others=(
            *draw_white_matter_lesions(tissue, grid, rng),
            *(_wide_decoys(tissue, grid, rng, lesions) if wide else ()),
        ),
        vessels=draw_vessels(tissue, grid, rng, wide=wide),
        dura=dura,
        dura_share=wide_dura_share(dura, grid, rng) if wide else _dura_share(len(dura), rng),
        sinus=sinus,
        sinus_share=sinus_share,
        texture_strength=float(rng.uniform(0.02, 0.08)),
        source=head.source,
    )


def _wide_decoys(
    tissue: UInt8, grid: Grid, rng: np.random.Generator, lesions: tuple[Lesion, ...]
) -> tuple[Lesion, ...]:
    return (
        *draw_areas(tissue, grid, rng, lesions),
        *draw_caps(tissue, grid, rng),
        *draw_pockets(tissue, grid, rng),
    )


def _texture(grid: Grid, rng: np.random.Generator) -> Float32:
    spacing = grid.spacing_mm_xyz[::-1]
    field = np.float32(0.75) * smooth_field(rng, grid.shape_zyx, spacing, 9.0)
    field += np.float32(0.66) * smooth_field(rng, grid.shape_zyx, spacing, 3.5)
    return field


def _dura_share(count: int, rng: np.random.Generator) -> Float32:
    return (rng.uniform(0.1, 0.6) * rng.uniform(0.6, 1.0, count)).astype(np.float32)


def wide_dura_share(dura: NDArray[np.int64], grid: Grid, rng: np.random.Generator) -> Float32:
    """From none to a bright line, in patches: dura and the small vessels on it."""
    patches = smooth_field(rng, grid.shape_zyx, grid.spacing_mm_xyz[::-1], float(rng.uniform(3, 15))).ravel()[dura]
    share = rng.uniform(0.05, 0.8) + np.float32(rng.uniform(0, 0.5)) * patches
    out: Float32 = (np.clip(share, 0, 1) * rng.uniform(0.6, 1.0, len(dura))).astype(np.float32)
    return out


def _soft_tissue(tissue: UInt8, grid: Grid, rng: np.random.Generator) -> None:
    """Label maps have one class outside the skull: fat lies over the vault, muscle and fat in turn below."""
    soft = tissue == Tissue.MUSCLE
    field = smooth_field(rng, grid.shape_zyx, grid.spacing_mm_xyz[::-1], 9.0)
    height = ((np.arange(grid.shape_zyx[0]) - 80) / 15).astype(np.float32)
    field += height[:, None, None]
    tissue[soft & (field > 0.2)] = Tissue.FAT


def _pituitary(tissue: UInt8) -> None:
    """A gland of 10 x 7 x 6 mm in front of the brain stem's top, where fluid or bone is."""
    stem = np.argwhere(tissue[::2, ::2, ::2] == Tissue.BRAINSTEM) * 2
    if not len(stem):
        return
    top = stem[stem[:, 0] > np.percentile(stem[:, 0], 85)].mean(axis=0)
    centre = top + np.array([-16.0, -22.0, 0.0])
    z, y, x = np.meshgrid(*(np.arange(n) for n in tissue.shape), indexing="ij", sparse=True)
    gland = ((z - centre[0]) / 3) ** 2 + ((y - centre[1]) / 4) ** 2 + ((x - centre[2]) / 6) ** 2 < 1
    tissue[gland & ~np.isin(tissue, BRAIN)] = Tissue.PITUITARY


def _smooth_sinus(tissue: UInt8) -> tuple[NDArray[np.int64], Float32]:
    """Label maps draw sinuses ragged: take them out as fluid and give them back with a smooth border."""
    ragged = tissue == Tissue.SINUS
    soft = ragged.astype(np.float32)
    for axis in range(3):
        soft = ndimage.gaussian_filter1d(soft, 1.1, axis=axis, truncate=2.5)
    share = np.clip(2.5 * soft.ravel() - 0.6, 0, 1)
    tissue[ragged] = Tissue.CSF
    index = np.flatnonzero(share > 0.02)
    return index, share[index]


def _shell(tissue: UInt8) -> NDArray[np.bool_]:
    """Voxels of bone or fluid where the two meet: the dura."""
    fluid = tissue == Tissue.CSF
    bone = (tissue == Tissue.BONE) | (tissue == Tissue.MARROW)
    shell: NDArray[np.bool_] = np.zeros(tissue.shape, dtype=bool)
    for axis in range(3):
        a = [slice(None)] * 3
        b = [slice(None)] * 3
        a[axis], b[axis] = slice(1, None), slice(None, -1)
        low, high = tuple(a), tuple(b)
        shell[low] |= bone[low] & fluid[high]
        shell[high] |= bone[high] & fluid[low]
    return shell


def brain_mask(scene: Scene, rng: np.random.Generator) -> Float32:
    """What a skull-stripping tool leaves, as 0 or 1: the brain with more or less of what is around it, in one piece."""
    small = scene.tissue[::2, ::2, ::2]
    cavity = ndimage.gaussian_filter(np.isin(small, INTRACRANIAL).astype(np.float32), 1.5)
    brain = ndimage.gaussian_filter(np.isin(small, BRAIN).astype(np.float32), 2.0)
    soft = np.minimum(cavity + np.float32(rng.uniform(0, 0.2)), brain + np.float32(rng.uniform(0.15, 0.55)))
    full = upsample(soft, scene.grid.shape_zyx, 2)
    depth, scale_mm = rng.uniform(0.03, 0.1), rng.uniform(4, 12)
    ragged = smooth_field(rng, scene.grid.shape_zyx, scene.grid.spacing_mm_xyz[::-1], scale_mm)
    full += np.float32(depth) * np.clip(ragged, -2.5, 2.5)
    parts, _ = ndimage.label(full > rng.uniform(0.5, 0.62))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    out: Float32 = (parts == np.argmax(sizes)).astype(np.float32)
    return out


def paint(scene: Scene, series: Series, rng: np.random.Generator) -> Float32:
    """(Z, Y, X) float32: the scene in a series' contrast, white matter at 1."""
    t1, t2, pd = scene.table.relaxed(series.after_gd)
    lut = signal(series.pulse, t1, t2, pd)
    white = lut[Tissue.WHITE]
    lut = lut / white
    moving = rng.uniform(*series.flow)
    lut[Tissue.SINUS] *= moving
    standing = 1 + np.float32(0.3 if series.flow[0] < 0.7 else 0.06) * scene.texture.ravel()[scene.sinus]
    lut[Tissue.ARTERY] *= 1.0 if series.flow[0] >= 0.7 else rng.uniform(0.0, 0.15)
    image: Float32 = lut.astype(np.float32)[scene.tissue]
    image *= 1 + _sensitivity(series, scene)[scene.tissue] * scene.texture
    image.ravel()[scene.dura] *= 1 - scene.dura_share
    image.ravel()[scene.dura] += scene.dura_share * np.float32(lut[Tissue.DURA])
    flat = image.ravel()
    flat[scene.sinus] += scene.sinus_share * (np.float32(lut[Tissue.SINUS]) * standing - flat[scene.sinus])
    _paint_vessels(image, scene, series, white)
    for lesion in (*scene.others, *scene.lesions):
        _paint_lesion(image, lesion, scene, series, white, lut)
    return image


def _sensitivity(series: Series, scene: Scene) -> Float32:
    """How strongly each tissue's signal follows the texture of T1: longer T1 is darker on T1, brighter on FLAIR."""
    strength = np.full(len(Tissue), scene.texture_strength, dtype=np.float32)
    strength[[Tissue.FAT, Tissue.MUSCLE, Tissue.MUCOSA, Tissue.MARROW, Tissue.SKIN]] *= 2.5
    strength[Tissue.AIR] = 0
    sign = np.float32(-0.6 if series.pulse.contrast is Contrast.FLAIR else 1.0)
    out: Float32 = sign * strength
    return out


def _blood_gd(scene: Scene, series: Series) -> float:
    return float(scene.table.gd_mm[Tissue.BLOOD]) * float(series.after_gd)


def _paint_vessels(image: Float32, scene: Scene, series: Series, white: float) -> None:
    vessels = scene.vessels
    low, high = series.flow
    left = (low + (high - low) * vessels.flow) if low < 0.7 else np.float32(high)
    left = np.where((vessels.tissue == Tissue.ARTERY) & (low < 0.7), vessels.flow, left)
    left = np.where((vessels.flow > 0.7) & (low < 0.7), vessels.flow, left)
    bright = np.empty_like(vessels.share)
    for kind in (Tissue.ARTERY, Tissue.BLOOD, Tissue.CHOROID):
        mine = vessels.tissue == kind
        steps = _over_gd(scene, series, kind, 1.0) / white
        gd = scene.table.gd_mm[kind] * float(series.after_gd) * vessels.gd_share[mine]
        bright[mine] = np.interp(gd, _GD_STEPS, steps)
    flat = image.ravel()
    flat[vessels.index] += vessels.share * (bright * left.astype(np.float32) - flat[vessels.index])


def _over_gd(
    scene: Scene, series: Series, tissue: Tissue, t1_factor: float, t2_factor: float = 1.0
) -> NDArray[np.float64]:
    """Signal of a tissue at each of `_GD_STEPS`."""
    table = scene.table
    t1 = np.full(len(_GD_STEPS), table.t1_ms[tissue] * t1_factor)
    t2 = np.full(len(_GD_STEPS), table.t2_ms[tissue] * t2_factor)
    t1, t2 = with_gadolinium(t1, t2, _GD_STEPS, table.field_t)
    return signal(series.pulse, t1, t2, np.full(len(_GD_STEPS), table.pd[tissue]))


def _solid(lesion: Lesion, scene: Scene, series: Series, white: float) -> Float32:
    """The solid part's signal on the lesion's box, after contrast where the series is: a mixture of dense and wet."""
    gd = lesion.gd_mm * float(series.after_gd)
    made = [
        np.interp(gd, _GD_STEPS, _over_gd(scene, series, lesion.solid_tissue, lesion.t1_factor, of_t2) / white)
        for of_t2 in ((1.0,) if lesion.wet is None else (DENSE_T2, WET_T2))
    ]
    mixed = made[0] if lesion.wet is None else made[0] + lesion.wet * (made[1] - made[0])
    solid: Float32 = mixed.astype(np.float32)
    return solid


def _paint_lesion(
    image: Float32, lesion: Lesion, scene: Scene, series: Series, white: float, lut: NDArray[np.float64]
) -> None:
    view = image[lesion.box]
    texture = 1 + np.float32(scene.texture_strength) * scene.texture[lesion.box]
    swollen = Tissue.OEDEMA if lesion.solid_tissue is Tissue.METASTASIS else lesion.solid_tissue
    view += lesion.oedema * (np.float32(lut[swollen]) * texture - view)
    if not lesion.body.any():
        return
    solid = _solid(lesion, scene, series, white)
    mixed = solid + lesion.core * (np.float32(lut[lesion.core_tissue]) - solid)
    view += lesion.body * (mixed * texture - view)
