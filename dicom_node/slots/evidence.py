"""Header of one series -> frozen facts: what rules, contrast and choice decide on. Tolerates whatever scanners write.

Called by classify.py. Knows no slot and no other series. Attributes: PS3.3 C.7.3.1, C.7.6.4 (contrast), C.8.3.1 (MR
Image), C.8.13 (Enhanced MR; nested functional groups are read as if they lay at the top).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dicom_node.slots import values
from dicom_node.slots.vocabulary import words_of
from dicom_node.slots.words import NO_WORDS, Said, Words, read

SERIES_NUMBER_LIMIT = 100_000
"""Larger numbers are hashes or time stamps of an archive and tell no order."""


class Plane(Enum):
    """The plane of the slices, to the nearest axis."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


@dataclass(frozen=True, kw_only=True, slots=True)
class When:
    """When a series was acquired, as far as its header tells."""

    day: int | None
    acquired_s: float | None
    """Seconds after midnight, from AcquisitionDateTime or AcquisitionTime."""
    begun_s: float | None
    """From SeriesTime or ContentTime: of reconstructions it is the time of reconstruction."""
    number: int | None
    """SeriesNumber where it can tell an order."""
    bolus_s: float | None
    """ContrastBolusStartTime."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """The facts of one series. None or empty where the header is silent."""

    modality: str
    sop_class: str
    device: tuple[object, ...]
    """Equal for series of one scanner."""
    manufacturer: str
    image_type: frozenset[str]
    derived: bool
    scanning: frozenset[str]
    """ScanningSequence: SE, GR, IR, EP, RM; or what Enhanced MR says in its own words."""
    variant: frozenset[str]
    options: frozenset[str]
    contrast_kind: str
    """AcquisitionContrast of Enhanced MR."""
    pulse: str
    """SequenceName and PulseSequenceName, lower case."""
    volumetric: bool | None
    """MRAcquisitionType: 3D True, 2D False."""
    tr_ms: float | None
    te_ms: float | None
    ti_ms: float | None
    flip_deg: float | None
    echo_train: float | None
    thickness_mm: float | None
    spacing_mm: float | None
    pixel_mm: float | None
    slices: int | None
    temporal_positions: int | None
    diffusion: bool
    angio_flag: bool
    phase_image: bool
    body_part: str
    plane: Plane | None
    agent: Said
    description: Words
    protocol: Words
    protocol_name: str
    when: When


def read_evidence(headers: Mapping[str, object]) -> Evidence:
    """The facts in a header (DICOM keyword -> JSON value, times in ms). Never raises for what a peer may send."""
    if "SharedFunctionalGroupsSequence" in headers or "PerFrameFunctionalGroupsSequence" in headers:
        headers = _flattened(headers)
    get = headers.get
    image_type = values.codes(get("ImageType")) | values.codes(get("FrameType"))
    field_t = values.positive(get("MagneticFieldStrength"))
    manufacturer = values.name(get("Manufacturer"))
    protocol_name = values.text(get("ProtocolName"))
    description = values.text(get("SeriesDescription"))
    return Evidence(
        modality=values.name(get("Modality")).upper(),
        sop_class=values.text(get("SOPClassUID")),
        device=(
            manufacturer,
            values.name(get("ManufacturerModelName")),
            values.name(get("DeviceSerialNumber")),
            field_t / 10_000 if field_t is not None and field_t > 100 else field_t,
        ),
        manufacturer=manufacturer,
        image_type=image_type,
        derived="DERIVED" in image_type or "MIXED" in image_type,
        scanning=_scanning(headers),
        variant=_variant(headers),
        options=values.codes(get("ScanOptions")),
        contrast_kind=values.text(get("AcquisitionContrast")).upper(),
        pulse=f"{values.text(get('SequenceName'))} {values.text(get('PulseSequenceName'))}".strip().lower(),
        volumetric={"3D": True, "2D": False}.get(values.text(get("MRAcquisitionType")).upper()),
        tr_ms=values.positive(get("RepetitionTime")),
        te_ms=values.positive(get("EffectiveEchoTime")) or values.positive(get("EchoTime")),
        ti_ms=values.positive(get("InversionTime")) or values.positive(get("InversionTimes")),
        flip_deg=values.positive(get("FlipAngle")),
        echo_train=values.positive(get("EchoTrainLength")) or values.positive(get("RFEchoTrainLength")),
        thickness_mm=values.positive(get("SliceThickness")),
        spacing_mm=values.positive(get("SpacingBetweenSlices")),
        pixel_mm=values.positive(get("PixelSpacing")),
        slices=_slices(headers),
        temporal_positions=_whole(get("NumberOfTemporalPositions")),
        diffusion=bool(values.positive(get("DiffusionBValue")) or "DIFFUSION" in image_type),
        angio_flag=values.text(get("AngioFlag")).upper() == "Y",
        phase_image=_phase(headers, image_type),
        body_part=values.text(get("BodyPartExamined")).upper(),
        plane=_plane(get("ImageOrientationPatient")),
        agent=_agent(headers),
        description=read(description) if description else NO_WORDS,
        protocol=read(protocol_name) if protocol_name and protocol_name != description else NO_WORDS,
        protocol_name=protocol_name,
        when=_when(headers),
    )


def _flattened(headers: Mapping[str, object]) -> Mapping[str, object]:
    """Attributes of the shared and the first frame's functional groups beside those of the top, which win."""
    found: dict[str, object] = {}
    groups = [headers.get("SharedFunctionalGroupsSequence"), headers.get("PerFrameFunctionalGroupsSequence")]
    waiting: list[object] = [group[:1] if isinstance(group, list) else group for group in groups]
    for _ in range(200):
        if not waiting:
            break
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(part for part in item[:1] if isinstance(part, Mapping))
        elif isinstance(item, Mapping):
            for keyword, value in item.items():
                if isinstance(value, Mapping) or (isinstance(value, list) and value and isinstance(value[0], Mapping)):
                    waiting.append(value)
                else:
                    found.setdefault(str(keyword), value)
    return {**found, **headers}


def _scanning(headers: Mapping[str, object]) -> frozenset[str]:
    classic = values.codes(headers.get("ScanningSequence"))
    if "EchoPulseSequence" not in headers and "InversionRecovery" not in headers:
        return classic
    echo = values.text(headers.get("EchoPulseSequence")).upper()
    told = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(echo, set())
    if values.text(headers.get("InversionRecovery")).upper() == "YES":
        told = told | {"IR"}
    if values.text(headers.get("EchoPlanarPulseSequence")).upper() == "YES":
        told = told | {"EP"}
    return classic | told


def _variant(headers: Mapping[str, object]) -> frozenset[str]:
    told = set(values.codes(headers.get("SequenceVariant")))
    if values.text(headers.get("TimeOfFlightContrast")).upper() == "YES":
        told.add("TOF")
    if values.text(headers.get("SteadyStatePulseSequence")).upper() in {
        "FREE_PRECESSION",
        "TRANSVERSE",
        "TIME_REVERSED",
    }:
        told.add("BALANCED")
    return frozenset(told)


def _phase(headers: Mapping[str, object], image_type: frozenset[str]) -> bool:
    component = values.text(headers.get("ComplexImageComponent")).upper()
    return component in {"PHASE", "REAL", "IMAGINARY"} or (
        bool(image_type & {"P", "PHASE", "PHASE MAP", "IMAGINARY", "I"}) and not image_type & {"M", "MAGNITUDE"}
    )


def _agent(headers: Mapping[str, object]) -> Said:
    """What the contrast tags say. An empty tag says nothing."""
    administered = values.text(headers.get("ContrastBolusAgentAdministered")).upper()
    if administered in {"YES", "NO"}:
        return Said.GIVEN if administered == "YES" else Said.NOT_GIVEN
    named = headers.get("ContrastBolusAgent")
    told = named.strip().lower() if isinstance(named, str) else values.text(named).lower()
    if told in _SAYS_NO:
        return Said.NOT_GIVEN
    if any(c.isalpha() for c in told) and told not in _SAYS_NOTHING:
        heard = read(told).contrast
        return heard if heard in {Said.NOT_GIVEN, Said.BOTH} else Said.GIVEN
    sequence = headers.get("ContrastBolusAgentSequence")
    if isinstance(sequence, list) and sequence and isinstance(sequence[0], Mapping) and sequence[0]:
        return Said.GIVEN
    return Said.GIVEN if values.positive(headers.get("ContrastBolusVolume")) else Said.NOTHING


_SAYS_NO = words_of(
    "none no n without ohne kein keine keines nein non sans aucun senza nessuno niente sin ninguno ninguna sem nenhum "
    "nenhuma bez brak geen zonder nee ingen uten utan uden nej nei intet ei nincs nem yok нет без false nil null "
    "native nativ w/o wo o.km okm"
) | {
    "no contrast", "non contrast", "without contrast", "not given", "none given", "not applicable", "ohne km",
    "kein km", "sans contraste", "sans injection", "senza mdc", "sin contraste",
}  # fmt: skip
_SAYS_NOTHING = values.ABSENT | words_of(
    "yes/no other true/false unbekannt inconnu sconosciuto desconocido onbekend ukendt"
)


def _slices(headers: Mapping[str, object]) -> int | None:
    frames = _whole(headers.get("NumberOfFrames"))
    if frames is not None and frames > 1:
        return frames
    return _whole(headers.get("NumberOfSeriesRelatedInstances"))


def _whole(value: object) -> int | None:
    found = values.positive(value)
    return int(found) if found is not None and found < 1e9 else None


def _plane(value: object) -> Plane | None:
    cosines = values.numbers(value)
    if len(cosines) != 6:
        return None
    a, b, c, d, e, f = cosines
    normal = (abs(b * f - c * e), abs(c * d - a * f), abs(a * e - b * d))
    largest = max(normal)
    if not 0.5 < largest < 2:
        return None
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[normal.index(largest)]


def _when(headers: Mapping[str, object]) -> When:
    get = headers.get
    stamp = values.text(get("AcquisitionDateTime") or get("FrameAcquisitionDateTime"))
    day = values.day_number(stamp[:8]) if stamp else None
    acquired = values.seconds_of_day(stamp[8:].split("+")[0].split("-")[0]) if len(stamp) >= 12 else None
    number = values.number(get("SeriesNumber"))
    return When(
        day=day or values.day_number(get("AcquisitionDate")) or values.day_number(get("SeriesDate")),
        acquired_s=acquired if acquired is not None else values.seconds_of_day(get("AcquisitionTime")),
        begun_s=values.seconds_of_day(get("SeriesTime") or get("ContentTime")),
        number=int(number) if number is not None and 0 < number < SERIES_NUMBER_LIMIT else None,
        bolus_s=values.seconds_of_day(get("ContrastBolusStartTime")),
    )
