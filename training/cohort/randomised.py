"""Examinations of no site: contrast, resolution, artefacts and preparation drawn far wider than any one hospital.

Called by protocol.draw_protocol. What real sets hold stands here: post-Gd MPRAGE with little contrast of grey and white
matter, 2D spin echo and 2D FLAIR in thick slices, brains without skull (BraTS), defaced heads, strong coils, noise.
"""

import numpy as np

from training.cohort.protocol import (
    BRAVO,
    FLAIR,
    POST,
    PRE,
    Geometry,
    Nominal,
    Plane,
    Protocol,
    Quality,
    Series,
    Site,
    bravo_pulse,
    cube_pulse,
    flair_pulse,
    mprage_pulse,
)
from training.cohort.signal import Contrast, Pulse, fluid_null_ms

_Rng = np.random.Generator


def randomised_protocol(rng: _Rng) -> Protocol:
    """One examination; four slots, always."""
    field_t = 1.5 if rng.random() < 0.35 else 3.0
    spin_echo_bravo = rng.random() < 0.12
    spin_echo = _spin_echo(rng)
    thick_spin_echo = rng.random() < 0.3
    cube_geometry = _geometry(rng, thick=thick_spin_echo)
    rows = (
        (
            BRAVO,
            spin_echo if spin_echo_bravo else _gradient_echo(rng, field_t),
            _geometry(rng, thick=rng.random() < 0.12),
            True,
        ),
        (PRE, spin_echo, cube_geometry, False),
        (POST, _gradient_echo(rng, field_t) if rng.random() < 0.12 else spin_echo, cube_geometry, True),
        (FLAIR, _flair(rng, field_t), _geometry(rng, thick=rng.random() < 0.45), True),
    )
    series = tuple(
        Series(
            slot=slot,
            pulse=pulse,
            nominal=Nominal(tr_ms=pulse.tr_ms, te_ms=pulse.te_ms, ti_ms=pulse.ti_ms, flip_deg=pulse.flip_deg),
            geometry=geometry,
            quality=_quality(rng, thick=geometry.two_dimensional),
            after_gd=after and (slot is not FLAIR or rng.random() < 0.6),
            flow=_flow(rng, pulse),
        )
        for slot, pulse, geometry, after in rows
    )
    return Protocol(
        site=Site.RANDOMISED,
        vendor=str(rng.choice(["GE MEDICAL SYSTEMS", "SIEMENS", "Philips"])),
        model="simulated",
        field_t=field_t,
        series=series,
        stripped=rng.random() < 0.4,
        defaced=rng.random() < 0.3,
        motion_deg=float(rng.uniform(0, 2)),
        motion_mm=float(rng.uniform(0, 2.5)),
        residual_mm=float(rng.uniform(0, 0.6)),
    )


def _gradient_echo(rng: _Rng, field_t: float) -> Pulse:
    kind = rng.random()
    if kind < 0.35:
        base = bravo_pulse(field_t)
        return Pulse(
            contrast=Contrast.IR_GRE,
            tr_ms=base.tr_ms * rng.uniform(0.8, 1.2),
            te_ms=float(rng.uniform(0.8, 3)),
            flip_deg=base.flip_deg * rng.uniform(0.8, 1.25),
            ti_ms=base.ti_ms * rng.uniform(0.85, 1.5),
            pulses=int(rng.integers(50, 180)),
            centre_pulse=int(rng.integers(0, 12)),
            recovery_ms=float(rng.uniform(0, 120)),
        )
    if kind < 0.75:
        return mprage_pulse(float(rng.uniform(800, 1150)), float(rng.uniform(6, 10)), float(rng.uniform(200, 1200)))
    return Pulse(
        contrast=Contrast.GRE,
        tr_ms=float(rng.uniform(6, 35)),
        te_ms=float(rng.uniform(1.5, 5)),
        flip_deg=float(rng.uniform(12, 32)),
    )


def _spin_echo(rng: _Rng) -> Pulse:
    if rng.random() < 0.5:
        base = cube_pulse(float(rng.uniform(500, 900)))
        return Pulse(
            contrast=Contrast.SE,
            tr_ms=base.tr_ms,
            te_ms=float(rng.uniform(6, 18)),
            train_ms=float(rng.uniform(60, 200)),
        )
    return Pulse(contrast=Contrast.SE, tr_ms=float(rng.uniform(400, 800)), te_ms=float(rng.uniform(7, 20)))


def _flair(rng: _Rng, field_t: float) -> Pulse:
    base = flair_pulse(float(rng.uniform(5000, 11000)), field_t)
    train = float(rng.uniform(200, 1400))
    return Pulse(
        contrast=Contrast.FLAIR,
        tr_ms=base.tr_ms,
        te_ms=float(rng.uniform(35, 160)),
        ti_ms=fluid_null_ms(base.tr_ms - train) * float(rng.uniform(0.92, 1.06)),
        train_ms=train,
    )


def _geometry(rng: _Rng, thick: bool) -> Geometry:
    if thick:
        pixel = float(rng.uniform(0.6, 1.0))
        step = float(rng.uniform(2.5, 6.5))
        return Geometry(
            plane=Plane.AXIAL, pixel_mm=pixel, slice_mm=step, matrix=round(240 / pixel), slices=int(185 / step)
        )
    pixel = float(rng.uniform(0.8, 1.2))
    step = float(rng.uniform(0.8, 1.6))
    plane = rng.choice([Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL], p=[0.55, 0.35, 0.1])
    extent = {Plane.AXIAL: rng.uniform(155, 205), Plane.SAGITTAL: 175, Plane.CORONAL: 215}[plane]
    return Geometry(
        plane=Plane(plane), pixel_mm=pixel, slice_mm=step, matrix=round(240 / pixel), slices=int(extent / step)
    )


def _quality(rng: _Rng, thick: bool) -> Quality:
    return Quality(
        noise=float(np.exp(rng.uniform(np.log(0.006), np.log(0.035 if thick else 0.07)))),
        bias=float(rng.uniform(0.02, 0.2)),
        blur_mm=float(rng.uniform(0.2, 0.9)),
        ghost=float(rng.choice([0.0, rng.uniform(0, 0.05)])),
        gamma=float(np.exp(rng.normal(0, 0.18))),
        scale=float(np.exp(rng.uniform(np.log(60), np.log(4000)))),
        masked_background=rng.random() < 0.3,
    )


def _flow(rng: _Rng, pulse: Pulse) -> tuple[float, float]:
    if pulse.contrast in (Contrast.IR_GRE, Contrast.GRE):
        return (0.75, 1.0)
    low, high = (0.1, 0.6) if pulse.train_ms else (0.2, 1.0)
    """2D spin echo without a train keeps more of slow blood."""
    return (low, float(rng.uniform(low, high)))
