"""What each tissue is made of: T1, T2 and proton density, before and after gadolinium.

The anatomy gives tissues, the signal equations take their relaxation times. Numbers of 3 T and 1.5 T are from the
literature where the comment says so (facts of the physics, see docs), the others are plausible settings: every patient
draws his own within 10-15 %. Knows no geometry and no pulse sequence.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


class Tissue(IntEnum):
    """What a voxel of the head is made of; the values are the labels of the simulated anatomy."""

    AIR = 0
    WHITE = 1
    GREY = 2
    CSF = 3
    THALAMUS = 4
    CAUDATE = 5
    PALLIDUM = 6
    BRAINSTEM = 7
    CEREBELLAR_WHITE = 8
    CEREBELLAR_GREY = 9
    VENTRICLE = 10
    FAT = 11
    MUSCLE = 12
    SKIN = 13
    BONE = 14
    MARROW = 15
    EYE = 16
    MUCOSA = 17
    SINUS = 18
    ARTERY = 19
    DURA = 20
    PITUITARY = 21
    CHOROID = 22
    METASTASIS = 23
    OEDEMA = 24
    NECROSIS = 25
    CYST = 26
    HAEMORRHAGE = 27
    BLOOD = 28


BRAIN: Final = (
    Tissue.WHITE,
    Tissue.GREY,
    Tissue.THALAMUS,
    Tissue.CAUDATE,
    Tissue.PALLIDUM,
    Tissue.BRAINSTEM,
    Tissue.CEREBELLAR_WHITE,
    Tissue.CEREBELLAR_GREY,
)
"""Parenchyma: where metastases grow."""
INTRACRANIAL: Final = (*BRAIN, Tissue.CSF, Tissue.VENTRICLE, Tissue.SINUS, Tissue.CHOROID)

_AT_3_T: Final[dict[Tissue, tuple[float, float, float, float]]] = {
    # T1 ms, T2 ms, PD (CSF = 1), gadolinium in mM a few minutes after 0.1 mmol/kg
    Tissue.AIR: (1000, 1, 0.0, 0.0),
    Tissue.WHITE: (832, 80, 0.70, 0.008),
    Tissue.GREY: (1331, 110, 0.82, 0.02),
    Tissue.CSF: (3900, 1800, 1.0, 0.0),
    Tissue.THALAMUS: (1150, 95, 0.78, 0.015),
    Tissue.CAUDATE: (1250, 95, 0.80, 0.015),
    Tissue.PALLIDUM: (950, 60, 0.73, 0.012),
    Tissue.BRAINSTEM: (950, 85, 0.73, 0.012),
    Tissue.CEREBELLAR_WHITE: (880, 82, 0.71, 0.010),
    Tissue.CEREBELLAR_GREY: (1290, 105, 0.81, 0.022),
    Tissue.VENTRICLE: (3900, 1800, 1.0, 0.0),
    Tissue.FAT: (380, 70, 0.9, 0.0),
    Tissue.MUSCLE: (1420, 45, 0.85, 0.08),
    Tissue.SKIN: (900, 45, 0.65, 0.08),
    Tissue.BONE: (900, 3, 0.15, 0.0),
    Tissue.MARROW: (480, 60, 0.6, 0.02),
    Tissue.EYE: (3500, 1200, 0.98, 0.0),
    Tissue.MUCOSA: (1350, 120, 0.85, 0.35),
    Tissue.SINUS: (1584, 80, 0.9, 0.8),
    Tissue.ARTERY: (1650, 275, 0.9, 0.8),
    Tissue.DURA: (1500, 60, 0.7, 0.25),
    Tissue.PITUITARY: (1100, 90, 0.8, 0.45),
    Tissue.CHOROID: (1700, 180, 0.9, 0.5),
    Tissue.METASTASIS: (1500, 110, 0.88, 0.0),
    Tissue.OEDEMA: (1400, 140, 0.88, 0.005),
    Tissue.NECROSIS: (2300, 300, 0.95, 0.0),
    Tissue.CYST: (3000, 700, 0.98, 0.0),
    Tissue.HAEMORRHAGE: (620, 70, 0.85, 0.0),
    Tissue.BLOOD: (1584, 90, 0.9, 0.8),
}
_T1_AT_1_5_T: Final[dict[Tissue, tuple[float, float]]] = {
    Tissue.WHITE: (620, 80),
    Tissue.GREY: (1030, 98),
    Tissue.CSF: (4000, 2000),
    Tissue.VENTRICLE: (4000, 2000),
    Tissue.FAT: (290, 80),
    Tissue.ARTERY: (1440, 290),
    Tissue.SINUS: (1400, 180),
    Tissue.BLOOD: (1400, 180),
    Tissue.METASTASIS: (1250, 120),
    Tissue.OEDEMA: (1150, 150),
    Tissue.DURA: (1250, 65),
    Tissue.MUSCLE: (1010, 44),
    Tissue.EYE: (3600, 1300),
}
_RATIO_1_5_T: Final = 0.77
"""T1 at 1.5 T over T1 at 3 T for tissues without a number of their own (white and grey matter: .75-.77)."""
_NECROSIS_T1: Final = (0.5, 1.1)
"""T1 of a patient's necrosis over that of the table, in the randomised mode."""
_OEDEMA_T1: Final = (0.9, 1.3)
_OEDEMA_T2: Final = (0.85, 1.7)
"""The same of a patient's oedema: 1260-1820 and 120-240 ms at 3 T."""
_TUMOUR_T1: Final = (0.8, 1.2)
_TUMOUR_T2: Final = (0.85, 2.3)
"""The same of the solid part of a patient's lesions: 1200-1800 and 94-253 ms at 3 T."""
DENSE_T2, WET_T2 = 0.65, 1.7
"""T2 of parts of one lesion that are dense with cells, and that are wet, over that of the patient's table. Not T1: on
FLAIR a longer T1 takes away what a longer T2 gives, and what enhances alike would be alike there too."""
_KIN: Final = (
    (Tissue.WHITE, Tissue.CEREBELLAR_WHITE, Tissue.BRAINSTEM, Tissue.PALLIDUM),
    (Tissue.GREY, Tissue.CEREBELLAR_GREY, Tissue.THALAMUS, Tissue.CAUDATE),
)
_RELAXIVITY: Final = {1.5: (6.3, 8.7), 3.0: (5.5, 11.0)}
"""r1, r2 of gadobenate dimeglumine in 1/(mM s)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TissueTable:
    """One patient's tissues: arrays indexed by `Tissue`."""

    t1_ms: Float64
    t2_ms: Float64
    pd: Float64
    gd_mm: Float64
    """Concentration in mM after contrast."""
    field_t: float

    def relaxed(self, after_gd: bool) -> tuple[Float64, Float64, Float64]:
        """(T1 ms, T2 ms, PD) of every tissue, before or after contrast."""
        t1, t2 = with_gadolinium(self.t1_ms, self.t2_ms, self.gd_mm * float(after_gd), self.field_t)
        return t1, t2, self.pd


def tissue_table(field_t: float, rng: np.random.Generator | None = None, spread: float = 0.05) -> TissueTable:
    """The table at 1.5 or 3 T; with a generator each value is drawn around it (log-normal, `spread` = one sigma)."""
    t1, t2, pd, gd = (np.array([_AT_3_T[t][i] for t in Tissue], dtype=np.float64) for i in range(4))
    if field_t < 2:
        t1 *= _RATIO_1_5_T
        for tissue, (t1_ms, t2_ms) in _T1_AT_1_5_T.items():
            t1[tissue], t2[tissue] = t1_ms, t2_ms
    if rng is not None:
        t1, t2, pd = (v * np.exp(_related(rng, s)) for v, s in ((t1, spread), (t2, spread), (pd, spread / 2)))
        gd *= np.exp(rng.normal(0, 0.2, gd.size)) * np.exp(rng.normal(0, 0.2))
        t1[Tissue.VENTRICLE], t2[Tissue.VENTRICLE], pd[Tissue.VENTRICLE] = (a[Tissue.CSF] for a in (t1, t2, pd))
    return TissueTable(t1_ms=t1, t2_ms=t2, pd=pd, gd_mm=gd, field_t=field_t)


def with_own_fluids(table: TissueTable, rng: np.random.Generator) -> TissueTable:
    """The table with the necrosis, the oedema and the tumour of some patient.

    The more protein necrosis holds, the shorter its T1: as pure as in the table FLAIR nulls a part of it, at
    1300-1600 ms it is among the brightest things there, as in many gliomas and metastases. The wetter oedema is, the
    longer its T1 and T2: at a long echo time twice as bright as the brain. So is the solid part of wet lesions: were
    oedema alone as bright, a network would take whatever is brightest on FLAIR for no lesion.
    """
    t1, t2 = table.t1_ms.copy(), table.t2_ms.copy()
    t1[Tissue.NECROSIS] *= np.exp(rng.uniform(*np.log(_NECROSIS_T1)))
    for tissue, of_t1, of_t2 in (
        (Tissue.OEDEMA, _OEDEMA_T1, _OEDEMA_T2),
        (Tissue.METASTASIS, _TUMOUR_T1, _TUMOUR_T2),
    ):
        wetness = rng.random()
        for times, (least, most) in ((t1, of_t1), (t2, of_t2)):
            times[tissue] *= least * (most / least) ** wetness
    return replace(table, t1_ms=t1, t2_ms=t2)


def _related(rng: np.random.Generator, spread: float) -> Float64:
    """One deviation a tissue; kinds of white matter deviate together, and so do kinds of grey matter."""
    deviation = rng.normal(0, spread, len(Tissue))
    for kin in _KIN:
        deviation[list(kin)] = deviation[kin[0]] + rng.normal(0, 0.3 * spread, len(kin))
    return deviation


def with_gadolinium(t1_ms: Float64, t2_ms: Float64, gd_mm: Float64, field_t: float) -> tuple[Float64, Float64]:
    """T1 and T2 in ms at a concentration in mM: 1/T' = 1/T + r C."""
    r1, r2 = _RELAXIVITY[1.5 if field_t < 2 else 3.0]
    return 1 / (1 / t1_ms + r1 * gd_mm / 1000), 1 / (1 / t2_ms + r2 * gd_mm / 1000)
