# ruff: noqa: SIM905
"""Which elements the node keeps of an object. Used by headers.py; no patient identifier stands here."""

from typing import Final

KEYWORDS: Final = tuple(
    """
    SOPClassUID Modality ImageType FrameType ScanningSequence SequenceVariant ScanOptions SequenceName PulseSequenceName
    MRAcquisitionType RepetitionTime EchoTime InversionTime FlipAngle EchoTrainLength EchoNumbers NumberOfAverages
    SliceThickness SpacingBetweenSlices PixelSpacing Rows Columns NumberOfFrames PercentPhaseFieldOfView PercentSampling
    PixelBandwidth AcquisitionMatrix InPlanePhaseEncodingDirection VariableFlipAngleFlag AngioFlag ReceiveCoilName
    ContrastBolusAgent ContrastBolusRoute ContrastBolusVolume ContrastBolusStartTime ContrastBolusStopTime
    ContrastBolusTotalDose ContrastBolusIngredient ContrastBolusIngredientConcentration ContrastFlowRate
    SeriesDescription ProtocolName StudyDescription AcquisitionProtocolName BodyPartExamined PatientPosition Laterality
    SeriesNumber AcquisitionNumber InstanceNumber
    StudyDate StudyTime SeriesDate SeriesTime AcquisitionDate AcquisitionTime AcquisitionDateTime
    ContentDate ContentTime
    Manufacturer ManufacturerModelName MagneticFieldStrength SoftwareVersions ImagingFrequency
    ImageOrientationPatient ImagePositionPatient FrameOfReferenceUID SliceLocation TriggerTime
    TemporalPositionIdentifier NumberOfTemporalPositions TemporalResolution ImagesInAcquisition StackID
    DiffusionBValue DiffusionDirectionality DerivationDescription BurnedInAnnotation QualityControlImage
    RescaleSlope RescaleIntercept BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel
    PhotometricInterpretation LossyImageCompression
    EchoPulseSequence InversionRecovery AcquisitionContrast ComplexImageComponent VolumetricProperties
    VolumeBasedCalculationTechnique PixelPresentation MultipleSpinEcho SpectrallySelectedSuppression
    SteadyStatePulseSequence Spoiling MagnetizationTransfer T2Preparation BloodSignalNulling
    """.split()
)
"""The top-level elements that are kept. None of them identifies a patient."""

MANY_VALUES: Final = frozenset(
    "ImageType FrameType ScanningSequence SequenceVariant ScanOptions PixelSpacing ImageOrientationPatient "
    "ImagePositionPatient AcquisitionMatrix".split()
)
"""Given as lists even where there is one value."""

GROUPS: Final = frozenset(
    """
    MRImageFrameTypeSequence MRTimingAndRelatedParametersSequence MREchoSequence MRModifierSequence MRAveragesSequence
    MRFOVGeometrySequence MRDiffusionSequence PixelMeasuresSequence PlaneOrientationSequence PlanePositionSequence
    FrameContentSequence FrameAnatomySequence PixelValueTransformationSequence MRTransmitCoilSequence
    TemporalPositionSequence
    """.split()
)
"""Functional groups of enhanced MR that are read (PS3.3 C.7.6.16, C.8.13.5)."""
GROUP_KEYWORDS: Final = (
    *KEYWORDS,
    "EffectiveEchoTime", "InversionTimes", "RFEchoTrainLength", "GradientEchoTrainLength", "FrameAcquisitionDateTime",
    "FrameReferenceDateTime", "TemporalPositionIndex", "InStackPositionNumber",
)  # fmt: skip
