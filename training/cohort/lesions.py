"""Metastases of a patient: how many, where, how large, of what kind.

Called by scene.py. Everything is drawn as memberships on small boxes; painting is scene.py's. The truth is what the
paper's radiologists outline: the enhancing part with its necrotic core, without oedema.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.fields import Float32, smooth_field
from training.cohort.lesion_shape import Box, Form, body_distance, box_around, core_membership, membership
from training.cohort.mass_effect import push
from training.cohort.protocol import Site
from training.cohort.tissues import BRAIN, INTRACRANIAL, Tissue
from worker.volume.geometry import Grid

UInt8 = NDArray[np.uint8]
Float64 = NDArray[np.float64]
_PUSHES_MM: Final = 4.0
"""Lesions of a larger radius have a mass effect."""
_COARSE: Final = 2
"""Places are drawn at every second voxel."""
_SHALLOW: Final = 0.35
"""Share of the randomised site's lesions that may reach the brain's surface."""
_PALE: Final = 0.3
_PALE_GD: Final = (0.25, 1.0)
"""Share of its lesions that take up little contrast, and of how much of it."""
_LEAST_MM: Final = 0.02
"""The least concentration of theirs, mM: a spin echo gets an eighth brighter by it."""
_PATCHY: Final = (0.6, 2.2)
"""How much more unevenly its lesions take it up than the others'."""
_WET_SPREAD: Final = (0.0, 0.5)
"""Standard deviation within one of its lesions of how wet it is."""
SUSCEPTIBLE: Final = np.zeros(256, dtype=np.float32)
"""How readily each tissue swells, by its label."""
SUSCEPTIBLE[list(BRAIN)] = 0.35
SUSCEPTIBLE[[Tissue.WHITE, Tissue.CEREBELLAR_WHITE, Tissue.BRAINSTEM]] = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """One lesion on its box of the scene's grid."""

    kind: str
    """solid, ring, cystic, haemorrhagic, glioma; or, no lesion (training/cohort/decoys.py), white-matter, area, cap,
    pocket."""
    box: Box
    body: Float32
    """Membership of the enhancing part with its core: the truth. All zeros for what is no metastasis."""
    core: Float32
    oedema: Float32
    gd_mm: Float32
    """Concentration after contrast in the solid part."""
    solid_tissue: Tissue
    core_tissue: Tissue
    t1_factor: float
    centre_zyx: tuple[float, float, float]
    wet: Float32 | None = None
    """How wet the solid part is, from 0, dense with cells, to 1; None: all of it as the patient's tissue table says."""


def draw_lesions(
    tissue: UInt8, grid: Grid, rng: np.random.Generator, site: Site, count: int | None = None
) -> tuple[Lesion, ...]:
    """The patient's metastases: `count` at most, as one that finds no place or fills no voxel is left out; without
    `count` as many as the cohort has. Large ones push `tissue` aside in place.
    """
    spacing = grid.spacing_mm_xyz[::-1]
    coarse = tissue[::_COARSE, ::_COARSE, ::_COARSE]
    weight, depth = _places(coarse, spacing)
    wanted = _count(rng) if count is None else count
    wide = site is Site.RANDOMISED
    glioma = wide and count != 0 and rng.random() < 0.3
    forms = [_glioma_form(rng)] if glioma else []
    wanted = int(rng.integers(1, 4)) if glioma and count is None else wanted
    forms += [_form(rng) for _ in range(wanted - len(forms))]
    forms = [(kind, _torn(rng, form)) if wide and kind == "ring" else (kind, form) for kind, form in forms]
    forms.sort(key=lambda f: -f[1].radius_mm)
    placed: list[tuple[Float64, float]] = []
    lesions: list[Lesion] = []
    patient_gd = float(np.exp(rng.normal(0, 0.3)))
    for kind, form in forms:
        shallow = wide and rng.random() < _SHALLOW
        centre = _place(rng, weight, depth, spacing, form.radius_mm, placed, shallow=shallow)
        if centre is None:
            continue
        placed.append((centre * spacing, form.radius_mm))
        grown = _grow(rng, kind, form, centre, tissue, spacing, patient_gd, _uptake(rng, wide=wide))
        lesions.append(replace(grown, wet=_wet(rng, form, grown, spacing)) if wide else grown)
    return tuple(les for les in lesions if les.body.max() > 0.5)


def _shape(tissue: UInt8) -> tuple[int, int, int]:
    return tissue.shape[0], tissue.shape[1], tissue.shape[2]


def _count(rng: np.random.Generator) -> int:
    """1-3 in two of three patients, 4-10 in a quarter, more in the rest, as in the cohorts of the paper's authors."""
    kind = rng.random()
    if kind < 0.62:
        return int(rng.integers(1, 4))
    return int(rng.integers(4, 11)) if kind < 0.88 else int(rng.integers(11, 21))


def _form(rng: np.random.Generator) -> tuple[str, Form]:
    diameter = float(np.clip(np.exp(rng.normal(np.log(6.5), 0.62)), 2.0, 35.0))
    kind = rng.random()
    lobes = int(rng.integers(2, 5)) if diameter > 7 and rng.random() < 0.35 else 1
    irregularity = float(rng.uniform(0.03, 0.2))
    radius = diameter / 2
    if diameter > 8 and kind < 0.5:
        rim = float(np.clip(rng.uniform(0.12, 0.5) * radius, 1.2, 6.0))
        return "ring", Form(radius_mm=radius, irregularity=irregularity, lobes=lobes, rim_mm=rim)
    if diameter > 10 and kind < 0.58:
        return "cystic", Form(radius_mm=radius, irregularity=irregularity / 2, rim_mm=float(rng.uniform(0.8, 1.6)))
    if diameter > 5 and kind > 0.92:
        return "haemorrhagic", Form(
            radius_mm=radius, irregularity=irregularity, lobes=lobes, rim_mm=radius * rng.uniform(0.3, 0.8)
        )
    return "solid", Form(radius_mm=radius, irregularity=irregularity, lobes=lobes)


def _uptake(rng: np.random.Generator, *, wide: bool) -> tuple[float, float]:
    """(share of the usual concentration, how uneven it is against the usual)."""
    if not wide:
        return 1.0, 1.0
    pale = float(rng.uniform(*_PALE_GD)) if rng.random() < _PALE else 1.0
    return pale, float(rng.uniform(*_PATCHY))


def _wet(rng: np.random.Generator, form: Form, lesion: Lesion, spacing: tuple[float, float, float]) -> Float32:
    """Cells lie denser in one part than in another: what enhances alike is not alike on FLAIR."""
    shape = (lesion.body.shape[0], lesion.body.shape[1], lesion.body.shape[2])
    mean, spread = np.float32(rng.random()), np.float32(rng.uniform(*_WET_SPREAD))
    wet: Float32 = mean + spread * smooth_field(
        rng, shape, spacing, max(form.radius_mm * float(rng.uniform(0.3, 0.7)), 1.5)
    )
    return np.clip(wet, 0, 1)


def _torn(rng: np.random.Generator, form: Form) -> Form:
    return replace(form, rim_uneven=float(rng.uniform(0.3, 1.0)))


def _glioma_form(rng: np.random.Generator) -> tuple[str, Form]:
    radius = float(np.exp(rng.uniform(*np.log((5.5, 23)))))
    return "glioma", Form(
        radius_mm=radius,
        irregularity=float(rng.uniform(0.12, 0.3)),
        lobes=int(rng.integers(1, 6)),
        rim_mm=float(rng.uniform(0.1, 0.6) * radius) if rng.random() < 0.9 else 0.0,
        elongation=0.22,
        rim_uneven=float(rng.uniform(0.4, 2.0)),
    )


def _places(coarse: UInt8, spacing: tuple[float, float, float]) -> tuple[Float32, Float32]:
    """(weight of each coarse voxel as a lesion's centre, its depth below the brain's surface in mm)."""
    brain = np.isin(coarse, BRAIN)
    grey = np.isin(coarse, (Tissue.GREY, Tissue.CEREBELLAR_GREY)).astype(np.float32)
    white = np.isin(coarse, (Tissue.WHITE, Tissue.CEREBELLAR_WHITE)).astype(np.float32)
    junction = ndimage.uniform_filter(grey, 3) * ndimage.uniform_filter(white, 3) * 4
    weight = brain * (0.12 + junction)
    weight[np.isin(coarse, (Tissue.BRAINSTEM, Tissue.THALAMUS, Tissue.CAUDATE))] *= 0.4
    step = 2
    depth = ndimage.distance_transform_edt(
        np.isin(coarse[::step, ::step, ::step], INTRACRANIAL), sampling=[s * _COARSE * step for s in spacing]
    )
    full = depth.repeat(step, 0).repeat(step, 1).repeat(step, 2)[tuple(slice(n) for n in coarse.shape)]
    return weight.astype(np.float32), full.astype(np.float32)


def _place(
    rng: np.random.Generator,
    weight: Float32,
    depth: Float32,
    spacing: tuple[float, float, float],
    radius_mm: float,
    placed: list[tuple[Float64, float]],
    *,
    shallow: bool,
) -> Float64 | None:
    """A centre (z, y, x) in voxels; a `shallow` lesion may reach the brain's surface."""
    least_mm = 0.3 * radius_mm + 1 if shallow else min(0.6 * radius_mm + 2, 16)
    allowed = np.where(depth > least_mm, weight, 0).ravel().astype(np.float64)
    if allowed.sum() <= 0:
        return None
    cumulative = np.cumsum(allowed)
    clustered = bool(placed) and rng.random() < 0.12
    for attempt in range(60):
        index = int(np.searchsorted(cumulative, rng.random() * cumulative[-1]))
        centre = np.array(np.unravel_index(index, weight.shape), dtype=np.float64) * _COARSE + rng.uniform(-0.5, 0.5, 3)
        gaps = [float(np.linalg.norm(centre * spacing - other)) - radius_mm - r for other, r in placed]
        if clustered and attempt < 40 and not 0.5 < min(gaps) < 8:
            continue
        if not gaps or min(gaps) > 0.5:
            return centre
    return None


def _grow(
    rng: np.random.Generator,
    kind: str,
    form: Form,
    centre: Float64,
    tissue: UInt8,
    spacing: tuple[float, float, float],
    patient_gd: float,
    uptake: tuple[float, float],
) -> Lesion:
    reach, strength = _oedema(rng, form)
    if form.radius_mm > _PUSHES_MM:
        push(tissue, centre, form.radius_mm, float(rng.uniform(0.1, 0.6)), spacing)
    half = (form.radius_mm * (1.45 + form.irregularity * 2) + reach * 1.6 + 3) / np.array(spacing)
    box = box_around(_shape(tissue), centre, half)
    distance = body_distance(rng, form, box, centre, spacing)
    inside = np.isin(tissue[box], (*BRAIN, Tissue.CSF, Tissue.VENTRICLE))
    body = membership(distance) * inside
    shape = (body.shape[0], body.shape[1], body.shape[2])
    core = core_membership(rng, form, distance, spacing)
    ring = form.rim_mm > 0
    pale, patchy = uptake
    gd = float(np.clip(np.exp(rng.normal(np.log(0.24), 0.55)) * patient_gd, 0.085, 1.0))
    gd = max(gd * pale, _LEAST_MM)
    patch = (0.45 if kind == "glioma" else 0.25) * patchy
    uneven = smooth_field(rng, shape, spacing, max(form.radius_mm * 0.45, 1.5))
    gd_mm = np.float32(gd) * np.exp(np.float32(patch) * uneven - np.float32(patch**2 / 2))
    ragged = smooth_field(rng, shape, spacing, max(reach * 0.8, 3.0))
    swelling = membership((distance - np.float32(reach) * (1 + np.float32(0.45) * ragged)).astype(np.float32), 3.0)
    cores = {"cystic": Tissue.CYST, "haemorrhagic": Tissue.HAEMORRHAGE}
    return Lesion(
        kind=kind,
        box=box,
        body=body.astype(np.float32),
        core=core if ring else np.zeros_like(core),
        oedema=(swelling * SUSCEPTIBLE[tissue[box]] * np.float32(strength)).astype(np.float32),
        gd_mm=gd_mm.astype(np.float32),
        solid_tissue=Tissue.METASTASIS,
        core_tissue=cores.get(kind, Tissue.NECROSIS if rng.random() < 0.8 else Tissue.CYST),
        t1_factor=float(np.exp(rng.normal(0, 0.1))) * (0.75 if rng.random() < 0.06 else 1.0),
        centre_zyx=(float(centre[0]), float(centre[1]), float(centre[2])),
    )


def _oedema(rng: np.random.Generator, form: Form) -> tuple[float, float]:
    """(reach beyond the border in mm, strength): nearly always around large lesions, seldom around small ones."""
    likely = 0.85 if form.radius_mm > 5 else 0.3
    if rng.random() > likely:
        return 0.0, 0.0
    return float(np.clip(rng.uniform(0.3, 1.7) * form.radius_mm, 1.0, 22.0)), float(rng.uniform(0.5, 1.0))
