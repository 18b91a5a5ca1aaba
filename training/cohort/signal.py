"""From relaxation times to signal: the pulse sequences of the paper's Table 3 as closed equations.

The head's painter calls `signal` once a tissue and a series (look-up tables, never once a voxel). Knows no geometry.
Two things shape the contrast that Table 3 does not give, the length of the readout and the effective echo time of a
variable-flip train; they are set such that the ratios of `tests/unit/training/cohort/test_signal.py` come out.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Contrast(StrEnum):
    """Which equation a series follows."""

    IR_GRE = "ir-gre"
    """Inversion, then a train of small pulses: BRAVO, MPRAGE."""
    GRE = "gre"
    """Spoiled gradient echo without preparation."""
    SE = "se"
    """Spin echo trains: CUBE, SPACE, and 2D spin echo with `train_ms` 0."""
    FLAIR = "flair"


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """The timing of one sequence; times in ms, angle in degrees."""

    contrast: Contrast
    tr_ms: float
    te_ms: float
    """Effective: of a long train far below the nominal echo time of the header."""
    flip_deg: float = 90.0
    ti_ms: float = 0.0
    pulses: int = 0
    """Small pulses between two inversions (IR_GRE)."""
    centre_pulse: int = 0
    """The pulse that reads the centre of k-space (IR_GRE)."""
    recovery_ms: float = 0.0
    """Dead time after the train (IR_GRE)."""
    train_ms: float = 0.0
    """Length of the echo train (SE, FLAIR)."""


def signal(pulse: Pulse, t1_ms: Float64, t2_ms: Float64, pd: Float64) -> Float64:
    """Magnitude of the steady-state signal, same shape as the relaxation times; arbitrary units."""
    if pulse.contrast is Contrast.IR_GRE:
        return _inversion_gradient_echo(pulse, t1_ms, t2_ms, pd)
    if pulse.contrast is Contrast.GRE:
        return _spoiled_gradient_echo(pulse, t1_ms, t2_ms, pd)
    if pulse.contrast is Contrast.SE:
        recovered: Float64 = 1 - np.exp(-(pulse.tr_ms - pulse.train_ms) / t1_ms)
        out: Float64 = pd * recovered * np.exp(-pulse.te_ms / t2_ms)
        return out
    return _flair(pulse, t1_ms, t2_ms, pd)


def fluid_null_ms(tr_ms: float, t1_ms: float = 3900) -> float:
    """The inversion time at which fluid vanishes: 1 - (1 + s) e^(-TI/T1) = 0, s what recovers before the inversion.

    `tr_ms` is what is left of the repetition after the echo train.
    """
    ti = 2000.0
    for _ in range(20):
        ti = t1_ms * float(np.log(2 - np.exp(-(tr_ms - ti) / t1_ms)))
    return ti


def _t2_star(t2_ms: Float64) -> Float64:
    """T2* where only the static field of a good shim adds to T2: 1/T2* = 1/T2 + 1/90 ms."""
    starred: Float64 = 1 / (1 / t2_ms + 1 / 90)
    return starred


def _inversion_gradient_echo(p: Pulse, t1: Float64, t2: Float64, pd: Float64) -> Float64:
    """Mz after inversion, TI, `pulses` pulses and recovery is an affine map; its fixed point is the steady state."""
    cos, sin = np.cos(np.radians(p.flip_deg)), np.sin(np.radians(p.flip_deg))
    e_tr = np.exp(-p.tr_ms / t1)
    slope, offset = -np.exp(-p.ti_ms / t1), 1 - np.exp(-p.ti_ms / t1)
    read_slope, read_offset = slope, offset
    for n in range(p.pulses):
        if n == p.centre_pulse:
            read_slope, read_offset = slope, offset
        slope, offset = slope * cos * e_tr, 1 - (1 - offset * cos) * e_tr
    rest = np.exp(-p.recovery_ms / t1)
    slope, offset = slope * rest, 1 - (1 - offset) * rest
    steady = offset / (1 - slope)
    read = read_slope * steady + read_offset
    out: Float64 = pd * np.abs(read) * sin * np.exp(-p.te_ms / _t2_star(t2))
    return out


def _spoiled_gradient_echo(p: Pulse, t1: Float64, t2: Float64, pd: Float64) -> Float64:
    cos, sin = np.cos(np.radians(p.flip_deg)), np.sin(np.radians(p.flip_deg))
    e_tr = np.exp(-p.tr_ms / t1)
    out: Float64 = pd * sin * (1 - e_tr) / (1 - cos * e_tr) * np.exp(-p.te_ms / _t2_star(t2))
    return out


def _flair(p: Pulse, t1: Float64, t2: Float64, pd: Float64) -> Float64:
    start = 1 - np.exp(-(p.tr_ms - p.ti_ms - p.train_ms) / t1)
    inverted = 1 - (1 + start) * np.exp(-p.ti_ms / t1)
    out: Float64 = pd * np.abs(inverted) * np.exp(-p.te_ms / t2)
    return out
