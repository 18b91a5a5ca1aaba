"""The one configuration: a TOML file, read once into frozen settings. Unknown keys are refused by name.

Every default stands here, is shown in deploy/quartet.example.toml and pinned by a test. `[worker]` belongs to the
worker process and is read there (worker/settings.py); the node only lets it pass.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dicom_node.contract.messages import Product
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import SettingsError

AETitle = Annotated[
    str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]*[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$")
]
"""PS3.5 6.2: up to 16 characters of the default repertoire, no backslash, not only spaces."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""0 lets the system choose a free port (tests, demo)."""


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(Section):
    """TLS of one side. With `ca_file` set the other side must show a certificate signed by it (mTLS)."""

    certificate_file: Path
    key_file: Path
    ca_file: Path | None = None


class PeerSettings(Section):
    """A sender that may open associations with us."""

    ae_title: AETitle
    addresses: tuple[str, ...] = ()
    """IP addresses or networks (CIDR) it may call from; empty: any."""


class AssociationSettings(Section):
    """The receiver. Sources of the values: facts measured on pynetdicom 3.0.4."""

    ae_title: AETitle = "QUARTET"
    host: str = "0.0.0.0"
    port: Port = 11112
    any_peer: bool = False
    """True: accept every calling AE title. For a closed test network only."""
    peers: tuple[PeerSettings, ...] = ()
    tls: TlsSettings | None = None
    maximum_associations: int = Field(default=20, ge=1)
    maximum_associations_per_address: int = Field(default=4, ge=1)
    maximum_pdu_bytes: int = Field(default=131_072, ge=4096, le=1_048_576)
    acse_timeout_s: float = Field(default=30.0, gt=0)
    dimse_timeout_s: float = Field(default=60.0, gt=0)
    network_timeout_s: float = Field(default=60.0, gt=0)
    socket_timeout_s: float = Field(default=30.0, gt=0)
    pdu_deadline_s: float = Field(default=120.0, gt=0)
    """A PDU that is not whole by then ends the association."""
    maximum_object_bytes: int = Field(default=1_073_741_824, gt=0)
    """A larger data set is refused with A700."""
    drain_s: float = Field(default=50.0, ge=0)
    """After SIGTERM open associations may finish for so long."""


class StorageSettings(Section):
    """Where objects, jobs and the catalog live. One file system, shared with the workers."""

    root: Path = Path("/var/lib/quartet")
    reserve_bytes: int = Field(default=5_000_000_000, ge=0)
    """Associations are refused while less than this is free."""
    keep_days: float | None = Field(default=30.0, gt=0)
    """Delivered studies are removed after so many days. None: never."""


class CatalogSettings(Section):
    """The database that knows what is owed."""

    url: str = ""
    """SQLAlchemy URL, e.g. postgresql+psycopg://user@host/quartet. Empty: SQLite in the storage root."""


class BrokerSettings(Section):
    """The doorbell between coordinator and workers."""

    url: str = "embedded"
    """`embedded` runs a private Valkey on loopback (one machine); else redis:// or rediss://."""


class StudySettings(Section):
    """When a study is complete."""

    settle_s: float = Field(default=20.0, gt=0)
    """No new object for so long: complete. Short, because a late series supersedes."""
    deadline_s: float = Field(default=1800.0, gt=0)
    """Counted from the first object: complete even while objects still trickle in."""
    expected_slots: tuple[SequenceSlot, ...] = tuple(SequenceSlot)
    """With all of these whole the run starts after `early_settle_s`."""
    early_settle_s: float = Field(default=3.0, gt=0)
    required_slots: tuple[SequenceSlot, ...] = ()
    """Without all of these no run. Empty: any one slot is enough."""


class SlotRule(Section):
    """A site's own rule, tried before the built-in ones. All given patterns must match."""

    match: Mapping[str, str]
    """DICOM keyword -> glob (case-insensitive), or a regular expression between slashes: /^t1.*km$/."""
    slot: SequenceSlot | Literal["ignore"]


class SlotSettings(Section):
    """The classifier."""

    rules: tuple[SlotRule, ...] = ()


class JobSettings(Section):
    """Attempts and leases."""

    attempts: int = Field(default=3, ge=1)
    lease_s: float = Field(default=60.0, gt=0)
    """An attempt whose last beat is older is taken for dead. Workers beat every few seconds."""
    ring_again_s: float = Field(default=30.0, gt=0)
    """A job that no worker began by then is rung again (the broker may have lost it)."""


class RetrySettings(Section):
    """Backoff of deliveries: first, doubled each time, up to longest; after give_up_after_s held for a person."""

    first_s: float = Field(default=10.0, gt=0)
    longest_s: float = Field(default=900.0, gt=0)
    give_up_after_s: float | None = Field(default=None, gt=0)
    """None: never; a PACS that comes back after a weekend gets its results."""


class DestinationSettings(Section):
    """A PACS or viewer that gets the results."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    ae_title: AETitle = "ANY-SCP"
    host: str = "127.0.0.1"
    port: Port = 104
    calling_ae_title: AETitle | None = None
    """None: our own AE title."""
    tls: TlsSettings | None = None
    products: tuple[Product, ...] = (Product.SEG, Product.SR)
    storage_commitment: bool = False
    """True: a result counts as sent only once the PACS committed to it (PS3.4 Annex J)."""
    commitment_timeout_s: float = Field(default=3600.0, gt=0)
    stow_url: str | None = None
    """DICOMweb STOW-RS base URL; when given it is used instead of C-STORE."""
    timeout_s: float = Field(default=60.0, gt=0)


class LogSettings(Section):
    """Logs: JSON lines or text on stderr; never patient data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(Section):
    """All of quartet.toml."""

    association: AssociationSettings = AssociationSettings()
    storage: StorageSettings = StorageSettings()
    catalog: CatalogSettings = CatalogSettings()
    broker: BrokerSettings = BrokerSettings()
    study: StudySettings = StudySettings()
    slots: SlotSettings = SlotSettings()
    jobs: JobSettings = JobSettings()
    retry: RetrySettings = RetrySettings()
    destinations: tuple[DestinationSettings, ...] = ()
    logs: LogSettings = LogSettings()
    worker: Mapping[str, Any] = Field(default_factory=dict)
    """Passed through: worker/settings.py checks it."""

    @field_validator("destinations")
    @classmethod
    def _names_are_unique(cls, value: tuple[DestinationSettings, ...]) -> tuple[DestinationSettings, ...]:
        names = [destination.name for destination in value]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two destinations are named {', '.join(doubled)}")
        return value

    @model_validator(mode="after")
    def _some_peer_may_call(self) -> "Settings":
        if self.association.any_peer and self.association.peers:
            raise ValueError("association.any_peer = true makes association.peers meaningless: give one of the two")
        return self

    @property
    def catalog_url(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.catalog.url or f"sqlite:///{self.storage.root / 'catalog.sqlite'}"


def load(path: Path) -> Settings:
    """Read quartet.toml. Raises `SettingsError` naming the file, the key, and the nearest known key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist; copy deploy/quartet.example.toml there and edit it") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error
    return parse(raw, source=str(path))


def parse(raw: Mapping[str, Any], *, source: str) -> Settings:
    """Check a mapping as it stands in TOML. Raises `SettingsError` with one line for every fault."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors()]
        raise SettingsError("\n".join([f"{source} cannot be used:", *(f"  {line}" for line in lines)])) from error


def _explain(location: tuple[int | str, ...], kind: str, message: str) -> str:
    dotted = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{dotted}: {message}" if dotted else message
    known = _known_keys(location[:-1])
    nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else f"; known here: {', '.join(sorted(known))}"
    return f"{dotted}: unknown setting{hint}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: type[Section] | None = Settings
    for part in location:
        if isinstance(part, str) and section is not None and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation)
    return list(section.model_fields) if section is not None else []


def _section_in(annotation: Any) -> type[Section] | None:
    """The section class inside an annotation such as tuple[PeerSettings, ...] or TlsSettings | None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    found = [_section_in(part) for part in getattr(annotation, "__args__", ()) if part is not Ellipsis]
    return next((section for section in found if section is not None), None)
