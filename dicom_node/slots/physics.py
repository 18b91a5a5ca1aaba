"""The physics of a pulse sequence, from its numbers first and its vendor's name second: echo, dimension, weighting.

Called by rules.py. Pure functions of `Evidence`; they answer None where the header does not suffice. Times in ms,
angles in degrees. Relaxation times of brain from the literature: white matter T1 about 850, CSF T1 about 4200.
"""

import math
import re

from dicom_node.slots.evidence import Evidence

CSF_T1_MS = 4200.0
WHITE_MATTER_T1_MS = 850.0
FLAIR_WINDOW = (0.62, 1.25)
"""TI over the CSF null time of its TR. FLAIRs of five vendors lie in 0.77-1.15; a double inversion lies above 1.3."""
ERNST_SHARE = 0.6
"""A spoiled steady state is T1-weighted from about the Ernst angle upwards; well below it shows proton density."""
SHORT_TR_MS = 60.0
"""A longer TR is no steady state of a 3D gradient echo, except where TR counts from inversion to inversion."""

_GRADIENT_NAME = re.compile(
    r"tfl|mprage|mp-rage|bravo|spgr|fgre|gre|\bfl[23]d|fl3d|vibe|tfe|ffe|lava|thrive|rssg|geir|fsp|quick3d|fe3d|ffe3d"
)
_SPIN_NAME = re.compile(
    r"spc|cube|\btse|tse[23br]|fse|frfse|\btir|tir[23b]|space|vista|brainview|mx3d|\bse\b|se2d|fase|mpv"
)
_VOLUME_NAME = re.compile(r"3d|spc|cube|bravo|mprage|tfl_me|mx3d|vista|vibe|lava|thrive|brainview|mpv")
_PLANE_NAME = re.compile(r"2d[1-9r]|2d\b|\bse\b|tirb|tseb")
_BALANCED_NAME = re.compile(r"fiesta|ciss|\*ci3d|trufi|tfi3d|bffe|b-ffe|\bci3d|ssfp|de3d")
_FLOW_NAME = re.compile(r"fl3d\d?r|fi3d|tof")
_EPI_NAME = re.compile(r"\bep[_2-3bifs]|epi|_ep_|\*ep")


def echo_planar(e: Evidence) -> bool:
    """Whether an echo planar readout was used."""
    return "EP" in e.scanning or (bool(e.pulse) and _EPI_NAME.search(e.pulse) is not None) or "MOSAIC" in e.image_type


def gradient_echo(e: Evidence) -> bool | None:
    """True for a gradient echo, False for a spin echo, None where nothing tells.

    Votes of four witnesses, as each is wrong somewhere: ScanningSequence, the pulse sequence's name, Philips' image
    type, and the numbers (a refocusing train needs a large flip angle and time; a gradient echo has neither).
    """
    votes = 0
    if "GR" in e.scanning and "SE" not in e.scanning:
        votes += 2
    elif "SE" in e.scanning and "GR" not in e.scanning:
        votes -= 2
    if e.image_type & {"FFE", "M_FFE", "T1FFE"}:
        votes += 1
    elif e.image_type & {"SE", "IR", "TSE", "M_SE", "M_IR"}:
        votes -= 1
    if e.pulse:
        votes += (_GRADIENT_NAME.search(e.pulse) is not None) - (_SPIN_NAME.search(e.pulse) is not None)
    votes += _numbers_vote(e)
    return None if votes == 0 else votes > 0


def _numbers_vote(e: Evidence) -> int:
    tr, te, flip = e.tr_ms, e.te_ms, e.flip_deg
    if tr is not None and tr < SHORT_TR_MS:
        return 2
    if te is not None and te > 70:
        return -1
    if flip is not None and flip <= 35 and (te is None or te < 12):
        return 1
    if flip is not None and flip >= 80 and te is not None and te >= 6:
        return -1
    return 0


def volumetric(e: Evidence) -> bool | None:
    """True for 3D, False for 2D: MRAcquisitionType, else the name, else the slice thickness."""
    if e.volumetric is not None:
        return e.volumetric
    if e.pulse:
        if _VOLUME_NAME.search(e.pulse):
            return True
        if _PLANE_NAME.search(e.pulse):
            return False
    if e.thickness_mm is not None:
        if e.thickness_mm <= 1.6:
            return True
        if e.thickness_mm >= 2.9:
            return False
    return None


def csf_null_ms(tr_ms: float) -> float:
    """The inversion time at which CSF passes zero after inversion every `tr_ms`."""
    return CSF_T1_MS * math.log(2.0 / (1.0 + math.exp(-tr_ms / CSF_T1_MS)))


def suppresses_fluid(e: Evidence) -> bool | None:
    """Whether the inversion nulls CSF; None where TR or TI is missing."""
    if e.ti_ms is None:
        return None
    if e.tr_ms is None:
        return True if 1400 <= e.ti_ms <= 2900 else None
    low, high = FLAIR_WINDOW
    return e.tr_ms >= 3500 and low <= e.ti_ms / csf_null_ms(e.tr_ms) <= high


def ernst_angle_deg(tr_ms: float) -> float:
    """The flip angle of most signal from white matter in a spoiled steady state."""
    return math.degrees(math.acos(math.exp(-tr_ms / WHITE_MATTER_T1_MS)))


def prepared(e: Evidence) -> bool:
    """Whether a gradient echo is magnetisation-prepared (MPRAGE, BRAVO, 3D TFE): a sequence of the brain."""
    return "MP" in e.variant or (e.ti_ms is not None and 200 <= e.ti_ms <= 1500) or "IR" in e.scanning


def balanced(e: Evidence) -> bool:
    """Whether it is a balanced or unspoiled steady state: bright fluid, whatever TR and TE say."""
    if "BALANCED" in e.variant or (e.pulse and _BALANCED_NAME.search(e.pulse)):
        return True
    short = e.tr_ms is not None and e.tr_ms < 15
    return short and e.flip_deg is not None and e.flip_deg >= 35


def flow_compensated(e: Evidence) -> bool:
    """Whether the name tells a time-of-flight sequence: Siemens writes r (rephased) after FLASH or FISP."""
    return bool(e.pulse) and _FLOW_NAME.search(e.pulse) is not None


def t1_gradient(e: Evidence) -> bool | None:
    """Whether a gradient echo (2D or 3D) is T1-weighted; None where numbers are missing."""
    tr, te, flip = e.tr_ms, e.te_ms, e.flip_deg
    if te is not None and te >= 11:
        return False
    if tr is None:
        return None
    if te is None and SHORT_TR_MS > tr > 12.0 and not prepared(e):
        return None
    if tr >= SHORT_TR_MS:
        if e.ti_ms is not None:
            return 1000 <= tr <= 3500 and 300 <= e.ti_ms <= 1500
        if "IR" in e.scanning or "MP" in e.variant or (flip is not None and flip <= 20):
            return 1000 <= tr <= 3500
        return flip is not None and flip >= 40 and tr <= 500
    if flip is None:
        return True if prepared(e) else None
    if prepared(e):
        return flip >= 3
    return flip >= ERNST_SHARE * ernst_angle_deg(tr)


def t1_spin(e: Evidence) -> bool | None:
    """Whether a spin echo is T1-weighted; None where numbers are missing."""
    if e.te_ms is None:
        return True if e.ti_ms is None and e.tr_ms is not None and 200 <= e.tr_ms <= 900 else None
    if e.te_ms > 45:
        return False
    if e.ti_ms is not None:
        return e.tr_ms is not None and e.tr_ms <= 4200 and 450 <= e.ti_ms <= 1700
    return None if e.tr_ms is None else 200 <= e.tr_ms <= 1300


def t2_spin(e: Evidence) -> bool:
    """Whether a spin echo without inversion is T2-weighted."""
    return e.te_ms is not None and e.te_ms >= 55
