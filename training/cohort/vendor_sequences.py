"""How GE, Siemens and Philips name and tag a sequence: description, ScanningSequence, ImageType and their like.

Called by dicom_headers.py. Pure. Those of sites A and B are the paper's; the others are what the randomised site draws,
thick slices as 2D sequences. ScanOptions has the vendor's own terms (PS3.3 C.8.3.1: type 2, empty where he has none).
"""

from typing import Any, Final

from dicom_node.contract.slots import SequenceSlot
from training.cohort.protocol import Plane, Series
from training.cohort.signal import Contrast

_SIEMENS, _GE, _PHILIPS = "SIEMENS", "GE MEDICAL SYSTEMS", "Philips"
_PLANES: Final = {
    _SIEMENS: {Plane.AXIAL: "tra", Plane.SAGITTAL: "sag", Plane.CORONAL: "cor"},
    _GE: {Plane.AXIAL: "Ax", Plane.SAGITTAL: "Sag", Plane.CORONAL: "Cor"},
    _PHILIPS: {Plane.AXIAL: "TRA", Plane.SAGITTAL: "SAG", Plane.CORONAL: "COR"},
}
_NAMES_3D: Final = {
    _SIEMENS: {
        Contrast.IR_GRE: "t1_mprage_{}_p2_iso",
        Contrast.GRE: "t1_fl3d_{}_p2_iso",
        Contrast.SE: "t1_space_{}_p2_iso",
        Contrast.FLAIR: "t2_space_dark-fluid_{}_p2_iso",
    },
    _GE: {
        Contrast.IR_GRE: "{} BRAVO",
        Contrast.GRE: "{} 3D SPGR",
        Contrast.SE: "{} T1 CUBE",
        Contrast.FLAIR: "{} T2 FLAIR CUBE",
    },
    _PHILIPS: {
        Contrast.IR_GRE: "T1W_3D_TFE_{}",
        Contrast.GRE: "T1W_3D_FFE_{}",
        Contrast.SE: "T1W_3D_BrainVIEW_{}",
        Contrast.FLAIR: "3D_BrainVIEW_FLAIR_{}",
    },
}
_NAMES_2D: Final = {
    _SIEMENS: {
        Contrast.IR_GRE: "t1_tfl2d_{}",
        Contrast.GRE: "t1_fl2d_{}",
        Contrast.SE: "t1_se_{}",
        Contrast.FLAIR: "t2_tirm_{}_dark-fluid",
    },
    _GE: {
        Contrast.IR_GRE: "{} T1 IR-FSPGR",
        Contrast.GRE: "{} T1 FSPGR",
        Contrast.SE: "{} T1 SE",
        Contrast.FLAIR: "{} T2 FLAIR",
    },
    _PHILIPS: {
        Contrast.IR_GRE: "T1W_TFE_{}",
        Contrast.GRE: "T1W_FFE_{}",
        Contrast.SE: "T1W_SE_{}",
        Contrast.FLAIR: "FLAIR_{}",
    },
}
_AFTER_GD: Final = {_SIEMENS: "_KM", _GE: " +C", _PHILIPS: "_GD"}
_BEFORE_GD: Final = {_SIEMENS: "", _GE: " PRE", _PHILIPS: ""}


def describe(vendor: str, series: Series) -> str:
    """The series description as a technologist names it; that of a FLAIR does not tell of contrast."""
    names = _NAMES_2D if series.geometry.two_dimensional else _NAMES_3D
    name = names[vendor][series.pulse.contrast].format(_PLANES[vendor][series.geometry.plane])
    if series.slot is SequenceSlot.FLAIR:
        return name
    return name + (_AFTER_GD if series.after_gd else _BEFORE_GD)[vendor]


def sequence_attributes(vendor: str, series: Series) -> dict[str, Any]:
    """Image type, sequence, variant, options and echo train."""
    if vendor == _SIEMENS:
        return _siemens(series.pulse.contrast, series.geometry.two_dimensional)
    if vendor == _GE:
        return _ge(series.pulse.contrast, series.geometry.two_dimensional)
    return _philips(series.pulse.contrast, series.geometry.two_dimensional)


def _siemens(contrast: Contrast, flat: bool) -> dict[str, Any]:
    image_type = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
    if contrast is Contrast.IR_GRE:
        return {
            "ImageType": image_type, "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*tfl2d1" if flat else "*tfl3d1_16ns", "ScanOptions": "IR", "EchoTrainLength": 1,
        }  # fmt: skip
    if contrast is Contrast.GRE:
        return {
            "ImageType": image_type, "ScanningSequence": "GR", "SequenceVariant": "SP",
            "SequenceName": "*fl2d1" if flat else "*fl3d1", "ScanOptions": "", "EchoTrainLength": 1,
        }  # fmt: skip
    if contrast is Contrast.FLAIR:
        return {
            "ImageType": image_type, "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP", "MP"],
            "SequenceName": "*tir2d1_16" if flat else "*spcir_278ns", "ScanOptions": "IR" if flat else ["IR", "PFP"],
            "EchoTrainLength": 16 if flat else 278,
        }  # fmt: skip
    return {
        "ImageType": image_type, "ScanningSequence": "SE", "SequenceVariant": "SP" if flat else ["SK", "SP"],
        "SequenceName": "*se2d1" if flat else "*spc_45ns", "ScanOptions": "" if flat else "PFP",
        "EchoTrainLength": 1 if flat else 45,
    }  # fmt: skip


def _ge(contrast: Contrast, flat: bool) -> dict[str, Any]:
    image_type = ["ORIGINAL", "PRIMARY", "OTHER"]
    options = ["FAST_GEMS", "EDR_GEMS", "ACC_GEMS"]
    if contrast in (Contrast.IR_GRE, Contrast.GRE):
        prepared = contrast is Contrast.IR_GRE
        return {
            "ImageType": image_type, "ScanningSequence": ["GR", "IR"] if prepared else "GR",
            "SequenceVariant": ["SS", "SP", "SK", "MP"] if prepared else ["SS", "SP", "SK"], "ScanOptions": options,
            "EchoTrainLength": 1,
        }  # fmt: skip
    if contrast is Contrast.FLAIR:
        return {
            "ImageType": image_type, "ScanningSequence": ["SE", "IR"], "SequenceVariant": "SK",
            "ScanOptions": [*options, "FS"], "EchoTrainLength": 24 if flat else 160,
        }  # fmt: skip
    return {
        "ImageType": image_type, "ScanningSequence": "SE", "SequenceVariant": "NONE" if flat else "SK",
        "ScanOptions": "EDR_GEMS" if flat else options, "EchoTrainLength": 1 if flat else 24,
    }  # fmt: skip


def _philips(contrast: Contrast, flat: bool) -> dict[str, Any]:
    if contrast in (Contrast.IR_GRE, Contrast.GRE):
        prepared = contrast is Contrast.IR_GRE
        return {
            "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "ScanningSequence": "GR",
            "SequenceVariant": "MP" if prepared else "SP", "ScanOptions": "", "EchoTrainLength": 180 if prepared else 1,
        }  # fmt: skip
    if contrast is Contrast.FLAIR:
        return {
            "ImageType": ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"], "ScanningSequence": "IR", "SequenceVariant": "SK",
            "ScanOptions": "", "EchoTrainLength": 30 if flat else 180,
        }  # fmt: skip
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"], "ScanningSequence": "SE",
        "SequenceVariant": "NONE" if flat else "SK", "ScanOptions": "", "EchoTrainLength": 1 if flat else 60,
    }  # fmt: skip
