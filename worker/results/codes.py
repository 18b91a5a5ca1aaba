"""The coded concepts of our results, each with the context group (CID) or template (TID) of PS3.16 it is for.

Read by segmentation, report, parametric_map, rtstruct and viewer_rules. Where the standard has no concept, a private
one of the scheme 99QUARTET stands, with its meaning in plain words.
"""

from pydicom.sr.coding import Code

PRIVATE_SCHEME = "99QUARTET"
PRIVATE_SCHEME_NAME = "Quartet: brain metastases from whatever MRI sequences arrived"

# Segment description: CID 7150, CID 7159, CID 7156; algorithm family: CID 7162.
MORPHOLOGICALLY_ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
NEOPLASM_SECONDARY = Code("14799000", "SCT", "Neoplasm, Secondary")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

# Anatomy: CID 7140.
BRAIN = Code("12738006", "SCT", "Brain")
LATERALITY = {
    "left half of the brain": Code("7771000", "SCT", "Left"),
    "right half of the brain": Code("24028007", "SCT", "Right"),
}
"""By `Lesion.site` (CID 244). The brain has no side where it is not known."""

# Equipment and references: CID 7005, CID 7202, CID 7203.
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

# Measurement report: TID 1500, 1204, 1002, 1004, 1600, 1410, 1411, 1501, 4019.
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
BRAIN_MRI = Code("24590-2", "LN", "Brain MRI")
CONCLUSION = Code("121077", "DCM", "Conclusion")
COMMENT = Code("121106", "DCM", "Comment")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
SOURCE = Code("260753009", "SCT", "Source")
MODALITY = Code("121139", "DCM", "Modality")
MAGNETIC_RESONANCE = Code("MR", "DCM", "Magnetic Resonance")
TARGET_REGION = Code("123014", "DCM", "Target Region")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
DERIVED_MEASUREMENTS = Code("126011", "DCM", "Derived Imaging Measurements")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")
SOURCE_IMAGE_FOR_SEGMENTATION = Code("121233", "DCM", "Source image for segmentation")
SOURCE_SERIES = Code("121232", "DCM", "Source series for segmentation")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
DEVICE_OBSERVER_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_OBSERVER_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_OBSERVER_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_OBSERVER_MODEL = Code("121015", "DCM", "Device Observer Model Name")

# Measurements: CID 7469; modifiers: CID 7464; units: UCUM, CID 7181.
VOLUME = Code("118565006", "SCT", "Volume")
PROBABILITY = Code("122157", "DCM", "Probability")
LESION_COUNT = Code("246206008", "SCT", "Number of lesions")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS = Code("103340004", "SCT", "Short Axis")
MEAN = Code("373098007", "SCT", "Mean")
MAXIMUM = Code("56851009", "SCT", "Maximum")
DERIVATION = Code("121401", "DCM", "Derivation")
TOTAL = Code("255619001", "SCT", "Total")
MILLIMETRE = Code("mm", "UCUM", "mm")
MILLILITRE = Code("ml", "UCUM", "ml")
NO_UNITS = Code("1", "UCUM", "no units")


def private(value: str, meaning: str) -> Code:
    """A concept of our own scheme."""
    return Code(value, PRIVATE_SCHEME, meaning)


FOUND = private("FOUND", "Brain metastases found")
NONE_FOUND = private("NONE_FOUND", "No brain metastasis found above the threshold")
INPUT_SEQUENCES = private("INPUTS", "Input sequences")
INPUT_SEQUENCE = private("INPUT", "Input sequence")
SLOT = private("SLOT", "Sequence slot")
SLOT_STATE = private("SLOT_STATE", "Use of the sequence")
SLOT_REASON = private("SLOT_REASON", "Reason")
SLOT_SERIES = private("SLOT_SERIES", "Series Instance UID of the sequence")
SLOT_CONFIDENCE = private("SLOT_CONFIDENCE", "Confidence that the series is this sequence")
REGISTRATION = private("REGISTRATION", "Quality of the co-registration to the reference")
IS_REFERENCE = private("REFERENCE", "Reference of the co-registration and of the segmentation")
PROCESSING = private("PROCESSING", "Model and provenance")
WEIGHTS_DIGEST = private("WEIGHTS", "SHA-256 of the model's weights")
SNAPSHOT_DIGEST = private("SNAPSHOT", "SHA-256 of the set of input images")
SETTINGS_DIGEST = private("SETTINGS", "SHA-256 of the settings")
THRESHOLD = private("THRESHOLD", "Probability threshold of these sequences")
SUPERSEDES = private("SUPERSEDES", "Earlier result that this one replaces")
EXPECTED_PERFORMANCE = private("EXPECTED", "Expected performance with these sequences, from validation")
LARGEST = private("LARGEST", "Long axis of the largest lesion")
SOFTWARE = private("SOFTWARE", "Version of the software")
