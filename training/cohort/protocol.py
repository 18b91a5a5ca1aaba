"""How a series is acquired: sites A and B of the paper's Table 3, and the wide randomisation for training.

`draw_protocol` gives one patient's scanner and series. Slots are the contract's. Headers (nominal times) and physics
(effective times) differ for echo trains: `Pulse` is the physics, `Nominal` what the scanner writes in its headers.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from dicom_node.contract.slots import SequenceSlot
from training.cohort.signal import Contrast, Pulse

BRAVO, PRE, POST, FLAIR = SequenceSlot.BRAVO, SequenceSlot.PRE_CUBE, SequenceSlot.POST_CUBE, SequenceSlot.FLAIR


class Site(StrEnum):
    """Whose protocol is simulated."""

    A = "A"
    """Training site of the paper: four sequences, GE and Siemens, 1.5 T (7 %) and 3 T."""
    B = "B"
    """Test site of the paper: no BRAVO, Siemens Skyra 3 T."""
    RANDOMISED = "randomised"
    """Neither: contrast, resolution, artefacts and skull-stripping drawn widely, so that a network carries over."""


class Plane(StrEnum):
    """Orientation of the slices."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The acquired grid."""

    plane: Plane
    pixel_mm: float
    slice_mm: float
    """Distance of slices; also their thickness."""
    matrix: int
    slices: int

    @property
    def two_dimensional(self) -> bool:
        """Thick slices are acquired one by one."""
        return self.slice_mm > 2


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What a scanner and a patient do to the image; fractions are of white matter's signal."""

    noise: float
    bias: float
    """One sigma of the logarithm of the coil field."""
    blur_mm: float = 0.0
    ghost: float = 0.0
    gamma: float = 1.0
    scale: float = 1000.0
    """White matter's value."""
    masked_background: bool = False
    """Vendors set air to zero."""


@dataclass(frozen=True, kw_only=True)
class Nominal:
    """What the header says."""

    tr_ms: float
    te_ms: float
    ti_ms: float
    flip_deg: float


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series to acquire."""

    slot: SequenceSlot
    pulse: Pulse
    nominal: Nominal
    geometry: Geometry
    quality: Quality
    after_gd: bool
    flow: tuple[float, float]
    """Range of what moving venous blood keeps of its signal: 1 in gradient echo, a void in spin echo."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One patient's examination."""

    site: Site
    vendor: str
    model: str
    field_t: float
    series: tuple[Series, ...]
    stripped: bool = False
    """Brain only, zeros outside, as BraTS gives it."""
    defaced: bool = False
    motion_deg: float = 0.8
    motion_mm: float = 1.0
    residual_mm: float = 0.3
    """One sigma a axis of what co-registration leaves."""


_STILL_FLOW: Final = (0.9, 1.0)
_VOID: Final = (0.1, 0.6)


def draw_protocol(site: Site, rng: np.random.Generator) -> Protocol:
    """One examination of a site."""
    if site is Site.RANDOMISED:
        from training.cohort.randomised import randomised_protocol

        return randomised_protocol(rng)
    return _site_a(rng) if site is Site.A else _site_b(rng)


def bravo_pulse(field_t: float) -> Pulse:
    """IR-FSPGR; train and recovery such that the ratios of the sanity table come out."""
    if field_t < 2:
        return Pulse(
            contrast=Contrast.IR_GRE, tr_ms=12.02, te_ms=1.5, flip_deg=20, ti_ms=300, pulses=60, centre_pulse=3
        )
    return Pulse(
        contrast=Contrast.IR_GRE,
        tr_ms=8.24,
        te_ms=1.0,
        flip_deg=13,
        ti_ms=400,
        pulses=60,
        centre_pulse=3,
        recovery_ms=100,
    )


def mprage_pulse(ti_ms: float = 900, tr_ms: float = 7.0, recovery_ms: float = 600) -> Pulse:
    """MPRAGE: a long inversion, read at the middle of the train."""
    return Pulse(
        contrast=Contrast.IR_GRE, tr_ms=tr_ms, te_ms=2.0, flip_deg=9, ti_ms=max(ti_ms - 90 * tr_ms, 20.0), pulses=180,
        centre_pulse=90, recovery_ms=recovery_ms,
    )  # fmt: skip


def cube_pulse(tr_ms: float = 602) -> Pulse:
    """T1 CUBE, SPACE: the train eats 150 ms of recovery; its effective echo time is short."""
    return Pulse(contrast=Contrast.SE, tr_ms=tr_ms, te_ms=10, train_ms=150)


def flair_pulse(tr_ms: float = 6000, field_t: float = 3.0) -> Pulse:
    """3D FLAIR; variable refocusing keeps the effective echo time at about 50 ms whatever the header says.

    At 3 T fluid keeps .31 of white matter's signal at a repetition time of 6,000 ms and .41 at 5,000, more than
    scanners' .25: an inversion time that nulls it better would darken oedema to white matter at this echo time.
    """
    return Pulse(
        contrast=Contrast.FLAIR,
        tr_ms=tr_ms,
        te_ms=42,
        ti_ms=(2050 if field_t > 2 else 2150) * (tr_ms / 6000) ** 0.5,
        train_ms=1200,
    )


def _quality(rng: np.random.Generator, noise: float, bias: float) -> Quality:
    return Quality(
        noise=noise * float(np.exp(rng.normal(0, 0.25))),
        bias=bias * float(np.exp(rng.normal(0, 0.3))),
        blur_mm=float(rng.uniform(0.3, 0.6)),
        ghost=float(rng.uniform(0, 0.01)),
        scale=float(np.exp(rng.uniform(np.log(300), np.log(2500)))),
    )


def _site_a(rng: np.random.Generator) -> Protocol:
    field_t = 1.5 if rng.random() < 0.07 else 3.0
    siemens = field_t > 2 and rng.random() < 0.15
    vendor = "SIEMENS" if siemens else "GE MEDICAL SYSTEMS"
    models = (
        ("SIGNA EXPLORER", "SIGNA HDx TwinSpeed")
        if field_t < 2
        else ("SIGNA Architect", "DISCOVERY MR750", "DISCOVERY MR750w")
    )
    model = "Skyra" if siemens else str(rng.choice(models))
    low = field_t < 2
    noise = 0.05 if low else 0.03
    axial = Geometry(
        plane=Plane.AXIAL, pixel_mm=240 / 256, slice_mm=1.0, matrix=256, slices=int(rng.integers(160, 201))
    )
    # Slice counts are not Table 3's, 160 axial and 270-320 sagittal: the field of view is that of the label maps, which
    # end with the head. 176 mm reach across it, more sagittal slices were air; 160-200 axial ones, as heads differ.
    sagittal = Geometry(plane=Plane.SAGITTAL, pixel_mm=250 / 256, slice_mm=1.0, matrix=256, slices=176)
    flair = Geometry(
        plane=Plane.SAGITTAL, pixel_mm=240 / 256, slice_mm=float(rng.choice([1.0, 1.2, 1.6])), matrix=256, slices=176
    )
    cube_nominal = Nominal(tr_ms=550 if low else 602, te_ms=9.54 if low else 12.72, ti_ms=0, flip_deg=90)
    bravo = mprage_pulse() if siemens else bravo_pulse(field_t)
    bravo_nominal = Nominal(tr_ms=8.24, te_ms=3.24, ti_ms=400, flip_deg=13)
    if siemens:
        bravo_nominal = Nominal(tr_ms=2000, te_ms=2.98, ti_ms=900, flip_deg=9)
    elif low:
        bravo_nominal = Nominal(tr_ms=12.02, te_ms=5.05, ti_ms=300, flip_deg=20)
    flair_nominal = Nominal(tr_ms=6000, te_ms=119 if low else 136, ti_ms=1880 if low else 1700, flip_deg=90)
    rows = (
        (BRAVO, bravo, bravo_nominal, axial, True, _STILL_FLOW, noise, 0.12),
        (PRE, cube_pulse(cube_nominal.tr_ms), cube_nominal, sagittal, False, _VOID, noise, 0.12),
        (POST, cube_pulse(cube_nominal.tr_ms), cube_nominal, sagittal, True, _VOID, noise, 0.12),
        (FLAIR, flair_pulse(6000, field_t), flair_nominal, flair, True, _VOID, noise * 1.2, 0.12),
    )
    return Protocol(site=Site.A, vendor=vendor, model=model, field_t=field_t, series=_series(rows, rng))


def _site_b(rng: np.random.Generator) -> Protocol:
    space = Geometry(plane=Plane.SAGITTAL, pixel_mm=230 / 256, slice_mm=0.9, matrix=256, slices=192)
    flair = Geometry(plane=Plane.SAGITTAL, pixel_mm=230 / 256, slice_mm=0.9, matrix=256, slices=208)
    nominal = Nominal(tr_ms=700, te_ms=12, ti_ms=0, flip_deg=120)
    rows = (
        (PRE, cube_pulse(700), nominal, space, False, _VOID, 0.035, 0.15),
        (POST, cube_pulse(700), nominal, space, True, _VOID, 0.035, 0.15),
        (
            FLAIR,
            flair_pulse(5000),
            Nominal(tr_ms=5000, te_ms=387, ti_ms=1800, flip_deg=120),
            flair,
            True,
            _VOID,
            0.04,
            0.15,
        ),
    )
    return Protocol(site=Site.B, vendor="SIEMENS", model="Skyra", field_t=3.0, series=_series(rows, rng))


_Row = tuple[SequenceSlot, Pulse, Nominal, Geometry, bool, tuple[float, float], float, float]


def _series(rows: tuple[_Row, ...], rng: np.random.Generator) -> tuple[Series, ...]:
    return tuple(
        Series(
            slot=slot,
            pulse=pulse,
            nominal=nominal,
            geometry=geometry,
            after_gd=after,
            flow=flow,
            quality=_quality(rng, noise, bias),
        )
        for slot, pulse, nominal, geometry, after, flow, noise, bias in rows
    )
