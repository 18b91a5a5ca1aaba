"""The messages between node and worker: frozen, versioned, plain JSON.

A `JobRequest` is the immutable snapshot of one study (design invariant 3); the node writes it as
`jobs/<job_id>/request.json`. A `JobOutcome` is what one attempt made of it; the worker writes it as
`outcome/outcome.json`. Over the broker goes only a `Doorbell`: a job id and an attempt, no patient data.
Reading refuses unknown versions and unknown or missing fields with `MessageError`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from dicom_node.contract.slots import SequenceSlot

CONTRACT_VERSION = 1
TASK_NAME = "quartet.run_job"
"""The Celery task that a `Doorbell` rings."""
QUEUE_NAME = "quartet"

Message = TypeVar("Message")


class MessageError(ValueError):
    """A message does not have the form of this contract version: node and worker are of different releases."""


class Product(StrEnum):
    """A kind of DICOM object that a job can make. Destinations choose among them."""

    SEG = "seg"
    """BINARY Segmentation, one segment "Brain metastases", all frames."""
    SEG_PER_LESION = "seg_per_lesion"
    """BINARY Segmentation, one segment with its tracking UID per lesion, empty frames omitted."""
    SEG_FRACTIONAL = "seg_fractional"
    """FRACTIONAL (probability) Segmentation."""
    PARAMETRIC_MAP = "parametric_map"
    """Parametric Map of the probability."""
    RTSTRUCT = "rtstruct"
    """RT Structure Set of the outlines."""
    SECONDARY_CAPTURE = "secondary_capture"
    """Secondary Capture series of slices with the outlines drawn in."""
    SR = "sr"
    """TID 1500 as Comprehensive 3D SR."""
    SR_COMPREHENSIVE = "sr_comprehensive"
    """TID 1500 as Comprehensive SR, for viewers that do not take Comprehensive 3D."""


class OutcomeStatus(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    """Products exist and are linted. A negative study is completed too: an SR and no SEG."""
    REFUSED = "refused"
    """The input is not processable (no brain, three slices, ...). Another attempt gives the same; nothing is sent."""
    FAILED = "failed"
    """The attempt broke. `retryable` says whether another one can help."""


class SlotState(StrEnum):
    """What became of a slot."""

    USED = "used"
    MISSING = "missing"
    REJECTED = "rejected"


@dataclass(frozen=True, kw_only=True, slots=True)
class InstanceRef:
    """One stored object of a snapshot. `path` is relative to the storage root, with forward slashes."""

    sop_instance_uid: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotSeries:
    """One series of the study as the node sorted it. Only a series with `chosen` is an input of the model."""

    series_instance_uid: str
    slot: SequenceSlot | None
    chosen: bool
    confidence: float
    reasons: tuple[str, ...]
    description: str
    instances: tuple[InstanceRef, ...]
    """All instances where `chosen`; empty for the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRequest:
    """The immutable snapshot of a study that one job works on."""

    version: int = CONTRACT_VERSION
    job_id: str
    """Our own id (hex); names the job folder."""
    study_instance_uid: str
    snapshot_digest: str
    """SHA-256 over slots, series and instance digests: the same input has the same digest, whatever the order."""
    created_at: str
    """ISO 8601 UTC; the content date of the results, so that a second run gives the same bytes."""
    series: tuple[SnapshotSeries, ...]
    products: tuple[Product, ...]
    """What to make: the union over the destinations."""
    predecessor_job_id: str | None = None
    """The completed job of this study that this one supersedes; its outcome folder holds objects and lesions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doorbell:
    """All that goes over the broker."""

    job_id: str
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductFile:
    """One DICOM file in the outcome folder."""

    product: Product
    file_name: str
    sha256: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SlotUse:
    """What became of one slot: first-class content of SR and summary."""

    slot: SequenceSlot
    state: SlotState
    reason: str = ""
    """Why missing or rejected; a remark where used (2D FLAIR, say)."""
    series_instance_uid: str = ""
    confidence: float = 0.0
    registration: Mapping[str, float] = field(default_factory=dict)
    """Quality figures of the co-registration to the reference, by name with the unit in it; empty for the reference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesion:
    """One lesion of the result. Positions are patient coordinates, LPS, in mm (PS3.3 C.7.6.2.1.1)."""

    number: int
    """From 1, in the order of falling volume; the segment number where segments are per lesion."""
    tracking_uid: str
    tracking_id: str
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    long_axis_ends_mm: tuple[tuple[float, float, float], tuple[float, float, float]]
    """The two ends of the longest diameter in the plane of the reference."""
    centroid_mm: tuple[float, float, float]
    mean_probability: float
    max_probability: float
    site: str = ""
    """Anatomical site where known, else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelIdentity:
    """Which weights gave the result, and what the model card says of this subset of sequences."""

    name: str
    version: str
    weights_digest: str
    threshold: float
    expected: Mapping[str, float] = field(default_factory=dict)
    """Expected performance of just this subset by metric name, from the model card's validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobOutcome:
    """What one attempt made of a request."""

    version: int = CONTRACT_VERSION
    job_id: str
    attempt: int
    status: OutcomeStatus
    reason: str = ""
    """Plain language, without patient data; empty where completed."""
    retryable: bool = False
    slots: tuple[SlotUse, ...] = ()
    lesions: tuple[Lesion, ...] = ()
    products: tuple[ProductFile, ...] = ()
    model: ModelIdentity | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a running attempt is: rewritten atomically in the attempt folder, and the heartbeat of its lease."""

    stage: str
    """The stage that runs now, as `seconds` of the outcome names it."""
    fraction: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time of the stages that are done."""


def to_json(message: Any) -> str:
    """A message as JSON with sorted keys: equal messages give equal bytes."""
    return json.dumps(asdict(message), sort_keys=True, indent=1, ensure_ascii=False)


def from_json(kind: type[Message], text: str | bytes) -> Message:
    """Read a message of the given kind. Raises `MessageError` on another version, form, or unknown field."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise MessageError(f"{kind.__name__} is no JSON: {error}") from error
    if isinstance(raw, dict) and raw.get("version", CONTRACT_VERSION) != CONTRACT_VERSION:
        raise MessageError(
            f"{kind.__name__} has contract version {raw['version']}, this release speaks {CONTRACT_VERSION}: "
            "run node and worker of the same release"
        )
    message: Message = _build(kind, raw, kind.__name__)
    return message


def _build(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        return _build_dataclass(kind, value, where)
    if origin in (Union, UnionType):
        return None if value is None else _build(next(a for a in get_args(kind) if a is not type(None)), value, where)
    if origin is tuple:
        return _build_tuple(get_args(kind), value, where)
    if origin is Mapping:
        _expect(isinstance(value, dict), where, "an object")
        return {str(k): _build(get_args(kind)[1], v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        _expect(value in set(kind), where, "one of " + ", ".join(kind))
        return kind(value)
    if kind is float:
        _expect(isinstance(value, int | float) and not isinstance(value, bool), where, "a number")
        return float(value)
    _expect(isinstance(value, kind) and not (kind is int and isinstance(value, bool)), where, kind.__name__)
    return value


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), where, "an object")
    types = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    _expect(set(value) <= known, where, f"no field {', '.join(sorted(set(value) - known))}")
    built = {name: _build(types[name], item, f"{where}.{name}") for name, item in value.items()}
    try:
        return kind(**built)
    except TypeError as error:
        raise MessageError(f"{where}: {error}") from error


def _build_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), where, "a list")
    kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
    _expect(len(kinds) == len(value), where, f"{len(kinds)} items")
    return tuple(_build(k, v, f"{where}[{n}]") for n, (k, v) in enumerate(zip(kinds, value, strict=True)))


def _expect(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise MessageError(f"{where}: expected {what}")
