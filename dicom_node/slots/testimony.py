"""What a series says of the contrast agent by itself: tag and words, and how far each is to be believed.

Called by contrast.py, which weighs it against the order in time. Costs are natural logarithms of odds: how unlikely it
is that the witness says so and the opposite is true. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.slots.evidence import Evidence
from dicom_node.slots.kinds import Kind
from dicom_node.slots.words import Said

TAG_COST = 4.0
"""A contrast tag names an agent, wrongly. It happens: some scanners write it into the whole examination."""
EXAMINATION_TAG_COST = 1.0
"""As above, where every series carries it, the localizer too: then it was entered with the patient."""
NO_TAG_COST = 2.0
"""A tag denies an agent, wrongly: it is often a default that nobody changed."""
WORD_COST = 3.0
"""A description says with or without, wrongly: about one in ten or twenty."""
WEAK_WORD_COST = 2.3
"""A lone C at the end of a description, or the protocol's name."""
BOLUS_COST = 2.5
"""A bolus perfusion without agent."""
SITE_COST = 8.0
"""The site's own rule says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Testimony:
    """What one series says: the cost of having been acquired before, and after, the agent."""

    before: float = 0.0
    after: float = 0.0
    direct: Said = Said.NOTHING
    """What tag, or else words, say of this very series."""
    conflict: bool = False
    """Tag and words say the opposite of each other."""
    reasons: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        return self.direct is Said.NOTHING and not self.before and not self.after


def testimonies(
    evidence: Sequence[Evidence], kinds: Sequence[Kind], fixed: Sequence[bool | None]
) -> tuple[Testimony, ...]:
    """One for each series of a study. `fixed`: True (given) or False where a site rule settles it, else None."""
    of_examination = _tagged_throughout(evidence, kinds)
    return tuple(
        _testimony(e, kind, evidence, of_examination=of_examination) if f is None else _settled(given=f)
        for e, kind, f in zip(evidence, kinds, fixed, strict=True)
    )


def _settled(*, given: bool) -> Testimony:
    return Testimony(before=SITE_COST if given else 0.0, after=0.0 if given else SITE_COST)


def _tagged_throughout(evidence: Sequence[Evidence], kinds: Sequence[Kind]) -> bool:
    """Whether the tag was copied into every series, localizer included, so that it tells none from another."""
    return Kind.LOCALIZER in kinds and all(e.agent is Said.GIVEN for e in evidence)


def _testimony(e: Evidence, kind: Kind, study: Sequence[Evidence], *, of_examination: bool) -> Testimony:
    before = after = 0.0
    reasons: list[str] = []
    tag = Said.NOTHING if of_examination and e.when.bolus_s is None else _tag(e)
    if of_examination and tag is Said.NOTHING:
        before += EXAMINATION_TAG_COST
        reasons.append("a contrast tag in every series, the localizer too, tells little")
    if tag is Said.GIVEN:
        before += TAG_COST
        reasons.append("contrast agent by its tag")
    elif tag is Said.NOT_GIVEN:
        after += NO_TAG_COST
        reasons.append("no contrast agent by its tag")
    said, word = e.description.contrast, e.description.contrast_word
    if said is Said.NOTHING and _tells_series(e, study):
        said, word = e.protocol.contrast, e.protocol.contrast_word
        said = Said.PERHAPS_GIVEN if said is Said.GIVEN else said
    if said in {Said.GIVEN, Said.PERHAPS_GIVEN}:
        before += WORD_COST if said is Said.GIVEN else WEAK_WORD_COST
        reasons.append(f"contrast agent by its words ({_readable(word)})")
    elif said is Said.NOT_GIVEN:
        after += WORD_COST
        reasons.append(f"no contrast agent by its words ({_readable(word)})")
    if kind is Kind.PERFUSION:
        before += BOLUS_COST
    direct = tag if tag in {Said.GIVEN, Said.NOT_GIVEN} else said if said is not Said.BOTH else Said.NOTHING
    conflict = {tag, said} == {Said.GIVEN, Said.NOT_GIVEN}
    return Testimony(before=before, after=after, direct=direct, conflict=conflict, reasons=tuple(reasons))


_SPOKEN: Final = {"plusagent": "+C", "minusagent": "-C", "plusatend": "+"}


def _readable(word: str) -> str:
    return " ".join(_SPOKEN.get(part, part) for part in word.split())


def _tag(e: Evidence) -> Said:
    """The contrast tag, corrected by the time of the bolus where both times are known."""
    if e.when.bolus_s is not None and e.when.acquired_s is not None and e.agent is not Said.NOT_GIVEN:
        return Said.GIVEN if e.when.acquired_s > e.when.bolus_s - 30 else Said.NOT_GIVEN
    return e.agent


def _tells_series(e: Evidence, study: Sequence[Evidence]) -> bool:
    """Whether ProtocolName is of this series: GE's, and a name that several series share, are of the examination."""
    if e.protocol.contrast is Said.NOTHING or e.manufacturer.startswith("ge"):
        return False
    return sum(other.protocol_name == e.protocol_name for other in study) == 1
