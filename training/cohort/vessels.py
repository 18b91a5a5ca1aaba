"""Vessels that enhance: the paper's false positives.

Called by scene.py. Tubes are walks of many points at once through tissue that suits them (veins along sulci, medullary
veins through white matter, arteries in the cisterns, choroid plexus in the ventricles); each has a radius, a share of
the blood's gadolinium, and a flow that the spin echo sequences void. Sinuses are tissues of the anatomy already. The
randomised site has many more under the skull, short ones among them: where a brain is cut out for a set as BraTS, they
are left as bright points of its surface.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.fields import Float32
from training.cohort.tissues import INTRACRANIAL, Tissue
from worker.volume.geometry import Grid

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]
_STEP_MM: Final = 0.6


@dataclass(frozen=True, kw_only=True, eq=False)
class Vessels:
    """Voxels that hold some vessel, sparse: equal lengths."""

    index: NDArray[np.int64]
    """Flat indices into the scene's grid, each once."""
    share: Float32
    """How much of the voxel is vessel, 0-1."""
    gd_share: Float32
    """Gadolinium over the patient's blood."""
    flow: Float32
    """0 fast to 1 standing; a spin echo sequence maps it to the signal that is left."""
    tissue: UInt8
    """ARTERY, BLOOD or CHOROID."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    count: tuple[int, int]
    length_mm: tuple[float, float]
    radius_mm: tuple[float, float]
    start: tuple[Tissue, ...]
    liking: tuple[tuple[Tissue, float], ...]
    """What a walk prefers to run through; anything else is disliked."""
    tissue: Tissue
    flow: tuple[float, float]
    turn: float
    """How far the direction wanders each step."""
    superficial: bool = False
    """Whether it begins next to the skull."""


_CORTEX: Final = (
    (Tissue.CSF, 1.0),
    (Tissue.GREY, 0.45),
    (Tissue.CEREBELLAR_GREY, 0.4),
    (Tissue.SINUS, 0.6),
    (Tissue.WHITE, -1.0),
)
_DEEP: Final = (
    (Tissue.VENTRICLE, 0.8),
    (Tissue.THALAMUS, 0.5),
    (Tissue.CAUDATE, 0.5),
    (Tissue.CSF, 0.6),
    (Tissue.WHITE, 0.2),
)
_MEDULLA: Final = ((Tissue.WHITE, 0.8), (Tissue.GREY, 0.7), (Tissue.CAUDATE, 0.5))
_VENTRICLE: Final = ((Tissue.VENTRICLE, 1.0), (Tissue.THALAMUS, 0.6), (Tissue.CAUDATE, 0.2))
_KINDS: Final = (
    # cortical veins
    _Kind(count=(50, 130), length_mm=(15, 75), radius_mm=(0.35, 1.5), start=(Tissue.CSF,), liking=_CORTEX,
          tissue=Tissue.BLOOD, flow=(0.1, 0.7), turn=0.35),
    # medullary veins
    _Kind(count=(60, 160), length_mm=(8, 35), radius_mm=(0.2, 0.65), start=(Tissue.WHITE, Tissue.GREY),
          liking=_MEDULLA, tissue=Tissue.BLOOD, flow=(0.2, 1.0), turn=0.15),
    # arteries of the cisterns and sulci
    _Kind(count=(10, 30), length_mm=(25, 90), radius_mm=(0.6, 1.5), start=(Tissue.ARTERY, Tissue.CSF),
          liking=_CORTEX, tissue=Tissue.ARTERY, flow=(0.0, 0.1), turn=0.3),
    # choroid plexus
    _Kind(count=(2, 5), length_mm=(15, 45), radius_mm=(0.6, 1.6), start=(Tissue.VENTRICLE,), liking=_VENTRICLE,
          tissue=Tissue.CHOROID, flow=(1.0, 1.0), turn=0.3),
    # deep veins
    _Kind(count=(3, 7), length_mm=(15, 45), radius_mm=(0.6, 1.4), start=(Tissue.THALAMUS, Tissue.CAUDATE),
          liking=_DEEP, tissue=Tissue.BLOOD, flow=(0.2, 0.9), turn=0.2),
    # veins of the cerebellum
    _Kind(count=(5, 20), length_mm=(10, 40), radius_mm=(0.3, 0.9), start=(Tissue.CEREBELLAR_GREY,),
          liking=_CORTEX, tissue=Tissue.BLOOD, flow=(0.1, 0.9), turn=0.3),
)  # fmt: skip
_WIDE_KINDS: Final = (
    *_KINDS,
    # veins of the brain's surface on their way to the dura
    _Kind(count=(0, 160), length_mm=(3, 45), radius_mm=(0.4, 1.7), start=(Tissue.CSF, Tissue.GREY),
          liking=_CORTEX, tissue=Tissue.BLOOD, flow=(0.1, 1.0), turn=0.35, superficial=True),
)  # fmt: skip


def draw_vessels(tissue: UInt8, grid: Grid, rng: np.random.Generator, *, wide: bool = False) -> Vessels:
    """The patient's tubes on the scene's grid. `wide`: up to several times as many, as real heads can look."""
    spacing: Float64 = np.array(grid.spacing_mm_xyz[::-1], dtype=np.float64)
    coarse = tissue[::2, ::2, ::2]
    richness = float(np.exp(rng.normal(0.3, 0.55) if wide else rng.normal(0, 0.35)))
    points, radii, gd, flow, tissues = [], [], [], [], []
    for kind in _WIDE_KINDS if wide else _KINDS:
        count = max(1, int(rng.integers(*kind.count, endpoint=True) * richness))
        suits = np.isin(coarse, kind.start)
        starts = np.flatnonzero(suits & superficial(coarse) if kind.superficial else suits)
        if not len(starts):
            continue
        chosen = rng.choice(starts, count)
        begin: Float64 = 2 * np.stack(np.unravel_index(chosen, coarse.shape), axis=-1).astype(np.float64)
        lengths = rng.uniform(*kind.length_mm, count)
        path, alive = _walk(rng, coarse, begin, spacing, lengths, kind)
        steps = np.arange(len(path))[:, None] * _STEP_MM
        widest = np.exp(rng.uniform(np.log(kind.radius_mm[0]), np.log(kind.radius_mm[1]), count))
        taper = widest * np.clip(1.0 - 0.65 * steps / lengths, 0.25, 1)
        standing = np.where(rng.random(count) < 0.2, rng.uniform(0.6, 1.0, count), rng.uniform(*kind.flow, count))
        standing = rng.uniform(*kind.flow, count) if kind.tissue is Tissue.ARTERY else standing
        wave = 0.25 * np.sin(steps / rng.uniform(5, 15, count) + rng.uniform(0, 6, count)) * standing
        points.append(path[alive])
        radii.append(taper[alive])
        gd.append(np.broadcast_to(rng.uniform(0.6, 1.05, count), taper.shape)[alive])
        flow.append(np.clip(standing + wave, 0, 1)[alive])
        tissues.append(np.full(int(alive.sum()), kind.tissue, dtype=np.uint8))
    joined = [np.concatenate(part) for part in (points, radii, gd, flow, tissues)]
    return _stamp(joined[0], joined[1], joined[2], joined[3], joined[4], tissue.shape, spacing)


def superficial(coarse: UInt8) -> NDArray[np.bool_]:
    """What lies within some 4 mm of the skull's inner side, or outside; `coarse` has every second voxel of a scene."""
    surface: NDArray[np.bool_] = ~ndimage.binary_erosion(np.isin(coarse, INTRACRANIAL), iterations=2)
    return surface


def _walk(
    rng: np.random.Generator, coarse: UInt8, begin: Float64, spacing: Float64, lengths: Float64, kind: _Kind
) -> tuple[Float64, NDArray[np.bool_]]:
    """(steps, count, 3) voxel positions and whether each is part of its tube."""
    liking = np.full(256, -2.0)
    for tissue, value in kind.liking:
        liking[tissue] = value
    count = len(begin)
    steps = int(lengths.max() / _STEP_MM) + 1
    position, direction = begin * spacing, _unit(rng.standard_normal((count, 3)))
    path = np.empty((steps, count, 3))
    alive = np.zeros((steps, count), dtype=bool)
    living = np.ones(count, dtype=bool)
    top = np.array(coarse.shape) - 1
    for step in range(steps):
        path[step] = position / spacing
        living = living & (step * _STEP_MM < lengths)
        alive[step] = living
        tries = _unit(direction[None] + kind.turn * rng.standard_normal((8, count, 3)))
        ahead = np.clip(np.round((position + 2.0 * tries) / spacing / 2).astype(int), 0, top)
        score = liking[coarse[ahead[..., 0], ahead[..., 1], ahead[..., 2]]] + 0.3 * rng.random((8, count))
        best = np.argmax(score, axis=0)
        living = living & (score[best, np.arange(count)] > -1.5)
        direction = tries[best, np.arange(count)]
        position = position + _STEP_MM * direction
    return path, alive


def _unit(vectors: Float64) -> Float64:
    out: Float64 = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return out


def _stamp(
    points: Float64,
    radii: Float64,
    gd: Float64,
    flow: Float64,
    tissues: UInt8,
    shape: tuple[int, ...],
    spacing: Float64,
) -> Vessels:
    """Balls of the points' radii; a voxel of a tube thinner than itself holds the tube's share of its face."""
    cubes = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    base = np.round(points).astype(int)
    voxels = base[:, None] + cubes[None]
    distance = np.linalg.norm((voxels - points[:, None]) * spacing, axis=-1)
    radius = radii[:, None]
    soft = np.clip(0.5 - (distance - radius) / 1.0, 0, 1)
    thin = np.minimum(np.pi * radius**2, 1.0)
    share = np.where(radius < 0.5, np.clip(1 - distance / 1.0, 0, 1) * thin, soft)
    inside = ((voxels >= 0) & (voxels < np.array(shape))).all(axis=-1) & (share > 0.02)
    owner, _ = np.nonzero(inside)
    flat = np.ravel_multi_index(tuple(voxels[inside].T), shape)
    weight = share[inside]
    order = np.argsort(weight, kind="stable")
    unique, position = np.unique(flat[order][::-1], return_index=True)
    last = order[::-1][position]
    who = owner[last]
    return Vessels(
        index=unique.astype(np.int64),
        share=weight[last].astype(np.float32),
        gd_share=gd[who].astype(np.float32),
        flow=flow[who].astype(np.float32),
        tissue=tissues[who],
    )
