"""What kind of image a series is: the answer of rules.py, before anything is said of contrast agent or slots."""

from enum import Enum


class Kind(Enum):
    """A kind of series. The value completes the sentence "this series is ...", as `quartet slots` prints it."""

    FLAIR_3D = "a 3D FLAIR"
    FLAIR_2D = "a 2D FLAIR"
    FLAIR_UNSURE = "a FLAIR, but nothing says whether 2D or 3D"
    T1_GRE_3D = "a 3D T1 gradient echo"
    T1_TSE_3D = "a 3D T1 spin echo"
    T1_2D = "a 2D T1"
    T1_UNSURE = "T1-weighted, but nothing says whether 2D or 3D"
    T2 = "T2-weighted"
    PD = "proton-density-weighted"
    OTHER_IR = "another inversion recovery (STIR, DIR, PSIR)"
    BSSFP = "a balanced steady-state sequence"
    T2_STAR = "T2*- or susceptibility-weighted"
    MP2RAGE = "a part of an MP2RAGE"
    DIFFUSION = "diffusion"
    PERFUSION = "perfusion with a bolus"
    ASL = "arterial spin labelling"
    DYNAMIC = "a dynamic series of many time points"
    EPI = "echo planar (functional or field map)"
    ANGIOGRAPHY = "angiography"
    FIELD_MAP = "a field, B1 or T1 map, or its raw images"
    SPECTROSCOPY = "spectroscopy"
    LOCALIZER = "a localizer or calibration"
    PHASE = "a phase image, not a magnitude"
    MAP = "a calculated map"
    SUBTRACTION = "a subtraction"
    PROJECTION = "a projection (MIP)"
    DIXON_PART = "the fat or opposed-phase part of a Dixon series"
    SCREENSHOT = "a screenshot or secondary capture"
    NOT_MR = "not MR"
    PHANTOM = "a phantom or quality check"
    TOO_SMALL = "of too few slices to be a volume"
    UNKNOWN = "unknown: its header says too little"


T1_KINDS = frozenset({Kind.T1_GRE_3D, Kind.T1_TSE_3D, Kind.T1_2D, Kind.T1_UNSURE})
"""Kinds that hospitals acquire before and after the contrast agent."""
