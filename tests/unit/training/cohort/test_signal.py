"""The signal equations give the contrasts that the physics' sanity table asks for, at 3 T relative to white matter."""

from dataclasses import replace

import numpy as np
import pytest

from training.cohort.protocol import bravo_pulse, cube_pulse, flair_pulse
from training.cohort.signal import Contrast, Pulse, fluid_null_ms, signal
from training.cohort.tissues import Tissue, tissue_table, with_gadolinium, with_own_fluids

_ROWS = ("grey", "fluid", "before", "0.1 mM", "0.3 mM", "0.8 mM", "blood 0.6", "blood 1.0")


def _relative(pulse: Pulse) -> dict[str, float]:
    table = tissue_table(3.0)
    kinds = [Tissue.WHITE, Tissue.GREY, Tissue.CSF, *[Tissue.METASTASIS] * 4, *[Tissue.BLOOD] * 2]
    gd = np.array([0, 0, 0, 0, 0.1, 0.3, 0.8, 0.6, 1.0])
    t1, t2 = with_gadolinium(table.t1_ms[kinds], table.t2_ms[kinds], gd, 3.0)
    values = signal(pulse, t1, t2, table.pd[kinds])
    return dict(zip(_ROWS, values[1:] / values[0], strict=True))


@pytest.mark.parametrize(
    ("pulse", "wanted", "tolerance"),
    [
        (bravo_pulse(3.0), (0.61, 0.17, 0.56, 1.3, 2.8, 5.4, 4.6, 6.1), 0.08),
        (cube_pulse(), (0.85, 0.44, 0.82, 1.3, 1.9, 2.4, 2.5, 2.6), 0.08),
        (flair_pulse(), (0.93, 0.25, 0.84, 1.5, 1.5, 0.9, 1.6, 1.0), 0.36),
    ],
    ids=["IR-FSPGR", "T1 CUBE", "FLAIR"],
)
def test_contrasts_are_those_of_the_sanity_table(pulse: Pulse, wanted: tuple[float, ...], tolerance: float) -> None:
    """FLAIR is looser: one effective echo time stands for a train whose weighting differs with T2."""
    assert _relative(pulse) == pytest.approx(dict(zip(_ROWS, wanted, strict=True)), rel=tolerance)


@pytest.mark.parametrize("t1_ms", [3900, 4000])
def test_fluid_vanishes_at_its_inversion_time(t1_ms: float) -> None:
    """After an echo train of 500 ms."""
    ti_ms = fluid_null_ms(6000 - 500, t1_ms)
    pulse = Pulse(contrast=Contrast.FLAIR, tr_ms=6000, te_ms=0, ti_ms=ti_ms, train_ms=500)
    assert signal(pulse, np.array([t1_ms]), np.array([2000.0]), np.array([1.0]))[0] < 1e-6


def test_gadolinium_shortens_both_times() -> None:
    """1/T' = 1/T + r C with the relaxivities of gadobenate at 3 T."""
    t1, t2 = with_gadolinium(np.array([1500.0]), np.array([110.0]), np.array([0.1]), 3.0)
    assert t1[0] == pytest.approx(1 / (1 / 1500 + 5.5e-4))
    assert t2[0] == pytest.approx(1 / (1 / 110 + 1.1e-3))


def test_the_inversion_train_reaches_its_steady_state() -> None:
    """The closed fixed point equals what many repetitions of the sequence, pulse by pulse, come to."""
    pulse, t1, cos = bravo_pulse(3.0), 832.0, np.cos(np.radians(13))
    mz, read = 1.0, 0.0
    for _ in range(50):
        mz = 1 - (1 + mz) * np.exp(-pulse.ti_ms / t1)
        for n in range(pulse.pulses):
            read = mz if n == pulse.centre_pulse else read
            mz = 1 - (1 - mz * cos) * np.exp(-pulse.tr_ms / t1)
        mz = 1 - (1 - mz) * np.exp(-pulse.recovery_ms / t1)
    no_decay = Pulse(**{**{f: getattr(pulse, f) for f in pulse.__dataclass_fields__}, "te_ms": 0.0})
    got = signal(no_decay, np.array([t1]), np.array([80.0]), np.array([1.0]))[0]
    assert got == pytest.approx(abs(read) * np.sin(np.radians(13)), rel=1e-9)


def test_patients_tissues_differ_but_keep_their_order() -> None:
    """A drawn table stays within some 30 % and leaves grey matter slower than white."""
    for seed in range(20):
        table, mean = tissue_table(3.0, np.random.default_rng(seed)), tissue_table(3.0)
        ratio = table.t1_ms / mean.t1_ms
        assert 0.7 < ratio.min() < ratio.max() < 1.4
        assert table.t1_ms[Tissue.GREY] > table.t1_ms[Tissue.WHITE]
        assert table.t1_ms[Tissue.VENTRICLE] == table.t1_ms[Tissue.CSF]


def test_spoiled_gradient_echo_is_the_ernst_formula() -> None:
    """At the Ernst angle the signal is sqrt((1 - E) / (1 + E))."""
    e = np.exp(-30 / 800)
    angle = np.degrees(np.arccos(e))
    pulse = Pulse(contrast=Contrast.GRE, tr_ms=30, te_ms=0, flip_deg=float(angle))
    got = signal(pulse, np.array([800.0]), np.array([80.0]), np.array([1.0]))[0]
    assert got == pytest.approx(np.sqrt((1 - e) / (1 + e)))


@pytest.mark.parametrize(("field_t", "dark"), [(1.5, 1.05), (3.0, 0.95)])
def test_necrosis_is_bright_in_the_flair_of_some_heads_and_not_in_that_of_others(field_t: float, dark: float) -> None:
    """As in real ones, and before contrast T1 shows it darker than white matter throughout."""
    rng = np.random.default_rng(1)
    table = tissue_table(field_t)
    flair, bravo = [], []
    for _ in range(80):
        own = with_own_fluids(table, rng)
        for pulse, found in ((flair_pulse(5500, field_t), flair), (bravo_pulse(field_t), bravo)):
            seen = signal(pulse, own.t1_ms, own.t2_ms, own.pd)
            found.append(seen[Tissue.NECROSIS] / seen[Tissue.WHITE])
    assert np.percentile(flair, 15) < dark
    assert np.percentile(flair, 85) > 1.4
    assert max(bravo) < 1


def test_the_oedema_of_a_wet_head_is_twice_as_bright_as_the_brain_at_a_long_echo_time() -> None:
    """As in real FLAIR, where 1.8 is met; a dry one is hardly brighter. No tissue of a healthy brain changes."""
    rng = np.random.default_rng(1)
    table = tissue_table(3.0)
    short = replace(flair_pulse(9000, 3.0), te_ms=40.0)
    long = replace(short, te_ms=150.0)
    seen: dict[float, list[float]] = {40.0: [], 150.0: []}
    for _ in range(80):
        own = with_own_fluids(table, rng)
        others = ~np.isin(np.arange(len(Tissue)), (Tissue.NECROSIS, Tissue.OEDEMA, Tissue.METASTASIS))
        for before, after in ((table.t1_ms, own.t1_ms), (table.t2_ms, own.t2_ms), (table.pd, own.pd)):
            assert np.array_equal(after[others], before[others])
        for pulse in (short, long):
            image = signal(pulse, own.t1_ms, own.t2_ms, own.pd)
            seen[pulse.te_ms].append(float(image[Tissue.OEDEMA] / image[[Tissue.WHITE, Tissue.GREY]].mean()))
    assert max(seen[150.0]) > 1.8
    assert min(seen[40.0]) < 1.25
    assert np.median(seen[150.0]) > np.median(seen[40.0]) + 0.3


def test_brightness_on_flair_does_not_tell_oedema_from_tumour() -> None:
    """Each is the brighter one in many heads: were oedema alone the brightest, the brightest were no lesion."""
    rng = np.random.default_rng(1)
    table = tissue_table(3.0)
    pulse = replace(flair_pulse(9000, 3.0), te_ms=120.0)
    brighter = []
    for _ in range(200):
        own = with_own_fluids(table, rng)
        image = signal(pulse, own.t1_ms, own.t2_ms, own.pd)
        brighter.append(bool(image[Tissue.METASTASIS] > image[Tissue.OEDEMA]))
    assert 0.25 < np.mean(brighter) < 0.75
