"""All that a result says of itself, gathered once by the pipeline: the argument of every writer in this room.

Pure records. The texts made here are plain ASCII, because they stand beside patient names in any character set.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dicom_node.contract.messages import JobRequest, Lesion, ModelIdentity, ProductFile, SlotState, SlotUse
from dicom_node.contract.slots import SequenceSlot
from worker.lesions.components import LesionMap
from worker.results.uids import derive_uid
from worker.volume.geometry import SeriesVolume, Volume

MANUFACTURER = "Quartet"
MODEL_NAME = "Quartet ILD"
RESEARCH_USE_ONLY = "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"
LONG_STRING_CHARACTERS = 64
"""Of the value representation LO (PS3.5 6.2)."""

_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "×": "x", "µ": "u", "\\": "/"}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResultContext:
    """Everything that SEG, SR and the others are made of."""

    request: JobRequest
    reference: SeriesVolume
    """The display series; SEG and outlines lie on its planes."""
    others: Mapping[SequenceSlot, tuple[Any, ...]]
    """Headers of the other series used, by slot; they may have other frames of reference."""
    slots: tuple[SlotUse, ...]
    """All four, in the order of the channels."""
    model: ModelIdentity
    lesions: tuple[Lesion, ...]
    """Empty for a negative study."""
    lesion_map: LesionMap
    """On the reference's native grid; label n is lesion number n."""
    probability: Volume
    """On the reference's native grid, 0 to 1."""
    software_version: str
    settings_digest: str = ""
    predecessor: tuple[ProductFile, ...] = field(default=())
    """What the superseded job had sent, or would have."""

    def uid(self, kind: str) -> str:
        """The UID of `kind` in this result (design invariant 3). The software's version counts, as it changes bytes."""
        return derive_uid(
            self.request.study_instance_uid,
            self.request.snapshot_digest,
            self.model.weights_digest,
            self.settings_digest,
            self.software_version,
            *(file.sop_instance_uid for file in self.predecessor),
            kind,
        )

    @property
    def device_uid(self) -> str:
        """The algorithm as a device: another one as soon as the weights change."""
        return derive_uid("device", self.model.weights_digest)

    @property
    def created_at(self) -> datetime:
        """The aware moment of the request: the content date of all results."""
        moment = datetime.fromisoformat(self.request.created_at)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    @property
    def used(self) -> tuple[SlotUse, ...]:
        """The slots whose series the model saw."""
        return tuple(slot for slot in self.slots if slot.state is SlotState.USED)

    @property
    def sequences(self) -> str:
        """The sequences used as a radiologist reads them: `post CUBE+FLAIR`."""
        return "+".join(slot.slot.label for slot in self.used)

    def is_reference(self, slot: SlotUse) -> bool:
        """Whether this slot's series gave the grid."""
        return slot.series_instance_uid == self.reference.series_instance_uid


def plain_text(text: str, characters: int | None = None) -> str:
    """Text that any DICOM character set can hold: accents dropped, other signs as ?, cut to `characters`."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    kept = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    printable = "".join(sign if " " <= sign <= "~" else " " if sign.isspace() else "?" for sign in kept)
    return printable if characters is None else printable[:characters].rstrip()
