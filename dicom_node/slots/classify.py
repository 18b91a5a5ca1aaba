"""Headers of one study -> a verdict for each series and the best series of each slot.

Called by the coordinator when a study is complete, and by table.py. Pure: same headers, same verdict, in any order.
The steps stand in the package's docstring. Where evidence is thin or contradictory the verdict is no slot, with the
reasons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicom_node.contract.slots import SequenceSlot
from dicom_node.records import SeriesVerdict, StudyVerdict
from dicom_node.settings import SlotRule
from dicom_node.slots import physics, site
from dicom_node.slots.choose import Candidate, choose, is_reformat
from dicom_node.slots.contrast import ContrastOpinion, opinions
from dicom_node.slots.evidence import Evidence, read_evidence
from dicom_node.slots.kinds import T1_KINDS, Kind
from dicom_node.slots.region import elsewhere
from dicom_node.slots.rules import Rule, kind_of
from dicom_node.slots.vocabulary import Meaning

SURE = 0.9
"""Below this probability of having been acquired before, or after, the contrast agent the classifier abstains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Series:
    evidence: Evidence
    rule: Rule
    opinion: ContrastOpinion
    off_head: str | None
    site_match: tuple[int, SequenceSlot | None] | None


def classify_study(series: Sequence[Mapping[str, object]], site_rules: Sequence[SlotRule] = ()) -> StudyVerdict:
    """Sort the series of one study into slots.

    series: one mapping each of DICOM keyword -> JSON value, times in ms, as `ReceivedInstance.headers` gives them;
    `NumberOfSeriesRelatedInstances` may hold the count of instances received. Never raises for what headers hold;
    raises `SettingsError` for a site rule whose regular expression cannot be read.
    """
    if site_rules:
        site.check(site_rules)
    evidence = [read_evidence(headers) for headers in series]
    rules = [kind_of(e) for e in evidence]
    kinds = [rule.kind for rule in rules]
    matches = [site.first_match(headers, site_rules) if site_rules else None for headers in series]
    held = opinions(evidence, kinds, [_fixed(match) for match in matches])
    regions = elsewhere(evidence, kinds)
    has_3d = any(
        kind is Kind.FLAIR_3D and region is None and match is None
        for kind, region, match in zip(kinds, regions, matches, strict=True)
    ) or any(match is not None and match[1] is SequenceSlot.FLAIR for match in matches)
    judged = [
        _Series(evidence=e, rule=r, opinion=o, off_head=h, site_match=m)
        for e, r, o, h, m in zip(evidence, rules, held, regions, matches, strict=True)
    ]
    return _chosen([_verdict(s, has_3d_flair=has_3d) for s in judged], judged)


def _fixed(match: tuple[int, SequenceSlot | None] | None) -> bool | None:
    if match is None or match[1] is None or match[1] is SequenceSlot.FLAIR:
        return None
    return match[1] is not SequenceSlot.PRE_CUBE


def _verdict(s: _Series, *, has_3d_flair: bool) -> SeriesVerdict:
    if s.site_match is not None:
        number, slot = s.site_match
        told = f"rule {number} of this site" if slot else f"rule {number} of this site says: ignore"
        return SeriesVerdict(slot=slot, confidence=1.0, reasons=(told,))
    kind, what = s.rule.kind, f"{s.rule.kind.value} ({s.rule.name})"
    surety = _surety(s.evidence, kind)
    if kind in T1_KINDS or kind in {Kind.FLAIR_2D, Kind.FLAIR_3D}:
        if s.off_head is not None:
            return SeriesVerdict(slot=None, confidence=surety, reasons=(s.off_head, what))
        if is_reformat(s.evidence):
            what += "; a reformat, not the original"
    if kind is Kind.FLAIR_3D:
        return SeriesVerdict(slot=SequenceSlot.FLAIR, confidence=surety, reasons=(what,))
    if kind is Kind.FLAIR_2D:
        if has_3d_flair:
            return SeriesVerdict(slot=None, confidence=surety, reasons=("2D FLAIR, and the study has a 3D one", what))
        remark = "a 2D FLAIR serves, as the study has no 3D one"
        return SeriesVerdict(slot=SequenceSlot.FLAIR, confidence=surety, reasons=(remark, what))
    if kind in {Kind.T1_GRE_3D, Kind.T1_TSE_3D}:
        return _t1_verdict(s, what, surety)
    return SeriesVerdict(slot=None, confidence=surety, reasons=(what,))


def _t1_verdict(s: _Series, what: str, surety: float) -> SeriesVerdict:
    opinion = s.opinion
    if opinion.contradiction:
        reason = "abstained: what it says of contrast agent contradicts itself or the order in time"
        return SeriesVerdict(slot=None, confidence=0.0, reasons=(reason, *opinion.reasons, what))
    side = max(opinion.given, 1.0 - opinion.given)
    if side < SURE:
        reason = "abstained: before or after contrast agent is not certain"
        return SeriesVerdict(slot=None, confidence=round(1 - side, 3), reasons=(reason, *opinion.reasons, what))
    given = opinion.given > 0.5
    confidence = round(min(surety, side), 3)
    reasons = (what, *(opinion.reasons or ("by the other series of the study",)))
    if s.rule.kind is Kind.T1_TSE_3D:
        slot = SequenceSlot.POST_CUBE if given else SequenceSlot.PRE_CUBE
        return SeriesVerdict(slot=slot, confidence=confidence, reasons=reasons)
    if given:
        return SeriesVerdict(slot=SequenceSlot.BRAVO, confidence=confidence, reasons=reasons)
    return SeriesVerdict(
        slot=None,
        confidence=confidence,
        reasons=("before contrast agent: a 3D T1 gradient echo then has no slot", *reasons),
    )


def _surety(e: Evidence, kind: Kind) -> float:
    """Confidence in the kind: less where facts are missing, or words speak of another kind than physics."""
    if kind is Kind.UNKNOWN:
        return 0.0
    surety = 0.98
    surety -= 0.06 * (e.volumetric is None)
    surety -= 0.06 * (e.tr_ms is None or e.te_ms is None)
    surety -= 0.04 * (not e.scanning)
    said = e.description.meanings
    if kind in T1_KINDS:
        surety -= 0.15 * (Meaning.FLAIR in said or (Meaning.T2 in said and Meaning.T1 not in said))
    elif kind in {Kind.FLAIR_2D, Kind.FLAIR_3D}:
        surety -= 0.15 * (bool(said & {Meaning.T1, Meaning.T2, Meaning.DIFFUSION}) and Meaning.FLAIR not in said)
        surety -= 0.06 * (physics.suppresses_fluid(e) is None)
    return round(surety, 3)


def _chosen(verdicts: list[SeriesVerdict], judged: Sequence[_Series]) -> StudyVerdict:
    chosen: dict[SequenceSlot, int] = {}
    for slot in SequenceSlot:
        candidates = [
            Candidate(
                index=i, evidence=judged[i].evidence, kind=judged[i].rule.kind, by_site=bool(judged[i].site_match)
            )
            for i, verdict in enumerate(verdicts)
            if verdict.slot is slot
        ]
        if not candidates:
            continue
        choice = choose(slot, candidates)
        chosen[slot] = choice.winner
        for i, lost in choice.losers.items():
            v = verdicts[i]
            verdicts[i] = SeriesVerdict(slot=v.slot, confidence=v.confidence, reasons=(lost, *v.reasons))
    return StudyVerdict(chosen=chosen, series=tuple(verdicts))
