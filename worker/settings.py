"""The worker's part of quartet.toml: `[worker]`, and the storage root, broker and logs it shares with the node.

Read here and not through dicom_node.settings, as a worker's machine has no node installed. Unknown keys of `[worker]`
are refused; the other sections are the node's business.
"""

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.errors import WorkerError
from worker.logs import LogSettings

Section = TypeVar("Section", bound=BaseModel)


class WorkerSettingsError(WorkerError):
    """The worker's configuration cannot be used; the text names the key and what to do."""


class WorkerSettings(BaseModel):
    """`[worker]` of quartet.toml, frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=0, ge=0)
    """Threads of inference and registration. 0: one per core."""
    weights: Path | None = None
    """Folder with weights and card. None: those that come with the package."""
    minimum_lesion_mm3: float = Field(default=10.0, ge=0)
    """Smaller objects are not reported (paper, Statistical analysis)."""
    beat_s: float = Field(default=5.0, gt=0)
    """How often a running attempt says that it lives; well below jobs.lease_s."""
    soft_time_limit_s: float = Field(default=1500.0, gt=0)
    time_limit_s: float = Field(default=1800.0, gt=0)

    def digest(self) -> str:
        """SHA-256 of what can change a result: part of the identity of every object made."""
        deciding = {"minimum_lesion_mm3": self.minimum_lesion_mm3}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


class WorkerEnvironment(BaseModel):
    """All that a worker process needs to start."""

    model_config = ConfigDict(frozen=True)

    storage_root: Path
    broker_url: str
    worker: WorkerSettings
    logs: LogSettings = LogSettings()


def load(path: Path, *, broker_url: str | None = None) -> WorkerEnvironment:
    """Read quartet.toml. `broker_url` overrides the file's (an embedded broker's port is known only at run time).

    Raises `WorkerSettingsError`.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WorkerSettingsError(
            f"{path} does not exist; copy deploy/quartet.example.toml there and edit it"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WorkerSettingsError(f"{path} cannot be read as TOML: {error}") from error
    url = broker_url or os.environ.get("QUARTET_BROKER_URL") or raw.get("broker", {}).get("url", "embedded")
    if url == "embedded":
        raise WorkerSettingsError(
            f'{path}: a worker apart needs broker.url = "redis://..."; with the embedded broker use `quartet serve`'
        )
    root = raw.get("storage", {}).get("root", "/var/lib/quartet")
    return WorkerEnvironment(
        storage_root=Path(root),
        broker_url=url,
        worker=_section(WorkerSettings, "worker", raw, path),
        logs=_section(LogSettings, "logs", raw, path),
    )


def _section(kind: type[Section], name: str, raw: Mapping[str, Any], source: Path) -> Section:
    """Check one table. Raises `WorkerSettingsError` with one line for every fault."""
    try:
        return kind.model_validate(raw.get(name, {}))
    except ValidationError as error:
        lines = [_explain(name, fault["loc"], fault["type"], fault["msg"]) for fault in error.errors()]
        raise WorkerSettingsError("\n".join([f"{source} cannot be used:", *(f"  {line}" for line in lines)])) from error


def _explain(section: str, location: tuple[int | str, ...], kind: str, message: str) -> str:
    dotted = ".".join([section, *(str(part) for part in location)])
    if kind != "extra_forbidden":
        return f"{dotted}: {message}"
    nearest = difflib.get_close_matches(str(location[-1]), list(WorkerSettings.model_fields), n=1, cutoff=0.5)
    return f"{dotted}: unknown setting" + (f"; did you mean {nearest[0]}?" if nearest else "")
