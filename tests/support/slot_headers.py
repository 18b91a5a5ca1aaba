"""Made-up headers of MR series as the vendors write them: no row of a real study."""

from typing import Any

Headers = dict[str, Any]

SIEMENS = {
    "Modality": "MR",
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": "Prisma_fit",
    "MagneticFieldStrength": 3,
}
GE = {
    "Modality": "MR",
    "Manufacturer": "GE MEDICAL SYSTEMS",
    "ManufacturerModelName": "SIGNA",
    "MagneticFieldStrength": 3,
}
PHILIPS = {"Modality": "MR", "Manufacturer": "Philips", "ManufacturerModelName": "Elition", "MagneticFieldStrength": 3}
CANON = {"Modality": "MR", "Manufacturer": "CANON_MEC", "ManufacturerModelName": "Galan", "MagneticFieldStrength": 3}
UIH = {"Modality": "MR", "Manufacturer": "UIH", "ManufacturerModelName": "uMR 790", "MagneticFieldStrength": 3}
HITACHI = {"Modality": "MR", "Manufacturer": "Hitachi", "ManufacturerModelName": "Oasis", "MagneticFieldStrength": 1.2}


def siemens_space_t1(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "MRAcquisitionType": "3D",
        "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "SequenceName": "*spc_45ns", "RepetitionTime": 640,
        "EchoTime": 9.4, "FlipAngle": 120, "EchoTrainLength": 45, "SliceThickness": 0.9, **more,
    }  # fmt: skip


def siemens_mprage(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "MRAcquisitionType": "3D",
        "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SK", "SP", "MP"], "SequenceName": "*tfl3d1_16ns",
        "RepetitionTime": 2100, "EchoTime": 2.6, "InversionTime": 950, "FlipAngle": 9, "SliceThickness": 1, **more,
    }  # fmt: skip


def siemens_space_flair(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "MRAcquisitionType": "3D",
        "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP", "MP"], "SequenceName": "*spcir_278ns",
        "RepetitionTime": 5000, "EchoTime": 391, "InversionTime": 1800, "FlipAngle": 120, "SliceThickness": 1, **more,
    }  # fmt: skip


def siemens_t2(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "MRAcquisitionType": "2D", "ScanningSequence": "SE",
        "SequenceVariant": "SK", "SequenceName": "*tse2d1_15", "RepetitionTime": 4500, "EchoTime": 96, "FlipAngle": 150,
        "SliceThickness": 4, **more,
    }  # fmt: skip


def siemens_t1_2d(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "MRAcquisitionType": "2D", "ScanningSequence": "SE",
        "SequenceVariant": "SP", "SequenceName": "*se2d1", "RepetitionTime": 520, "EchoTime": 11, "FlipAngle": 80,
        "SliceThickness": 5, **more,
    }  # fmt: skip


def ge_cube_t1(**more: Any) -> Headers:
    return {
        **GE, "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "MRAcquisitionType": "3D", "ScanningSequence": "SE",
        "SequenceVariant": "SK", "PulseSequenceName": "Cube", "RepetitionTime": 602, "EchoTime": 12.1, "FlipAngle": 90,
        "EchoTrainLength": 24, "SliceThickness": 1.2, **more,
    }  # fmt: skip


def ge_bravo(**more: Any) -> Headers:
    return {
        **GE, "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "MRAcquisitionType": "3D", "ScanningSequence": "GR",
        "SequenceVariant": ["SS", "SP", "SK"], "PulseSequenceName": "BRAVO", "RepetitionTime": 8.4, "EchoTime": 3.2,
        "InversionTime": 450, "FlipAngle": 12, "SliceThickness": 1, **more,
    }  # fmt: skip


def ge_cube_flair(**more: Any) -> Headers:
    return {
        **GE, "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "MRAcquisitionType": "3D", "ScanningSequence": "RM",
        "SequenceVariant": "NONE", "PulseSequenceName": "CubeT2FLAIR", "RepetitionTime": 6300, "EchoTime": 120,
        "InversionTime": 1790, "FlipAngle": 90, "SliceThickness": 1.4, **more,
    }  # fmt: skip


def philips_tfe(**more: Any) -> Headers:
    return {
        **PHILIPS, "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], "MRAcquisitionType": "3D",
        "ScanningSequence": "GR", "SequenceVariant": "MP", "PulseSequenceName": "T1TFE", "RepetitionTime": 7.9,
        "EchoTime": 3.5, "FlipAngle": 8, "EchoTrainLength": 220, "SliceThickness": 1, **more,
    }  # fmt: skip


def philips_brainview_t1(**more: Any) -> Headers:
    return {
        **PHILIPS, "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"], "MRAcquisitionType": "3D",
        "ScanningSequence": "SE", "SequenceVariant": "SK", "PulseSequenceName": "TSE", "RepetitionTime": 420,
        "EchoTime": 27, "FlipAngle": 90, "SliceThickness": 1, **more,
    }  # fmt: skip


def philips_flair(**more: Any) -> Headers:
    return {
        **PHILIPS, "ImageType": ["ORIGINAL", "PRIMARY", "M_IR", "M", "IR"], "MRAcquisitionType": "3D",
        "ScanningSequence": "IR", "SequenceVariant": "SK", "PulseSequenceName": "TIR", "RepetitionTime": 4800,
        "EchoTime": 310, "InversionTime": 1650, "FlipAngle": 90, "SliceThickness": 1.1, **more,
    }  # fmt: skip


def localizer(**more: Any) -> Headers:
    return {
        **SIEMENS, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "MRAcquisitionType": "2D", "ScanningSequence": "GR",
        "SequenceVariant": ["SP", "OSP"], "SequenceName": "*fl2d1", "RepetitionTime": 8, "EchoTime": 3.7,
        "FlipAngle": 20, "SliceThickness": 7, "SeriesDescription": "localizer", **more,
    }  # fmt: skip


def at(clock: str, number: int, headers: Headers) -> Headers:
    """The same series acquired at HHMMSS, with a series number."""
    return {**headers, "AcquisitionTime": clock, "SeriesNumber": number}
