"""Head or not: body part, words, and the sequences that only a brain gets.

Called by classify.py. BodyPartExamined is a protocol's default and wrong in several of a hundred brain series, so it
alone refuses only what nothing else calls a brain. Whether pixels show a brain is for the worker to see.
"""

from collections.abc import Iterable, Sequence

from dicom_node.slots import physics
from dicom_node.slots.evidence import Evidence
from dicom_node.slots.kinds import Kind
from dicom_node.slots.vocabulary import Meaning, words_of

_ELSEWHERE = words_of(
    "SPINE CHEST THORAX ABDOMEN PELVIS KNEE SHOULDER HIP BREAST HEART CARDIAC LIVER PROSTATE EXTREMITY LEG ARM FOOT "
    "ANKLE WRIST HAND ELBOW WHOLEBODY NECK BLADDER KIDNEY UTERUS RECTUM THIGH CALF FEMUR HUMERUS SACRUM LUMBAR CERVICAL"
)
_HEAD = frozenset({"HEAD", "BRAIN", "SKULL", "CRANI", "NEURO"})
_FLAIRS = frozenset({Kind.FLAIR_2D, Kind.FLAIR_3D, Kind.FLAIR_UNSURE})


def elsewhere(evidence: Sequence[Evidence], kinds: Sequence[Kind]) -> tuple[str | None, ...]:
    """For each series the reason why it is of another body part, or None. T2 FLAIR is made of brains only."""
    brains = {e.body_part for e, kind in zip(evidence, kinds, strict=True) if kind in _FLAIRS or _called_head(e)}
    return tuple(
        _reason(e, kind, study_has_brain=e.body_part in brains) for e, kind in zip(evidence, kinds, strict=True)
    )


def _reason(e: Evidence, kind: Kind, *, study_has_brain: bool) -> str | None:
    words_elsewhere = Meaning.ELSEWHERE in e.description.meanings and Meaning.HEAD not in e.description.meanings
    part_elsewhere = bool(e.body_part) and _names(e.body_part, _ELSEWHERE) and not _names(e.body_part, _HEAD)
    if words_elsewhere and (part_elsewhere or kind not in _FLAIRS):
        return "its description names another body part"
    if not part_elsewhere or kind in _FLAIRS or study_has_brain:
        return None
    if kind is Kind.T1_GRE_3D and physics.prepared(e):
        return None
    return "BodyPartExamined is not the head, and nothing else says that it is"


def _called_head(e: Evidence) -> bool:
    return Meaning.HEAD in e.description.meanings and Meaning.ELSEWHERE not in e.description.meanings


def _names(part: str, words: Iterable[str]) -> bool:
    return any(word in part for word in words)
