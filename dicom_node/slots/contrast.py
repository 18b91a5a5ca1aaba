"""Before or after the contrast agent: the probability of each series, from tags, words and the order in time together.

Called by classify.py. The agent is given once, at one moment of a session: every series before it is without, every
later one with. So each possible moment is weighed by what it would contradict (costs are natural logarithms of odds),
and a series' probability is the share of the moments before it. Contradictory witnesses leave it near one half, and
classify.py abstains. Knows no slots.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.slots.evidence import Evidence
from dicom_node.slots.kinds import T1_KINDS, Kind
from dicom_node.slots.order import Order, Session, follows, order_of
from dicom_node.slots.testimony import Testimony, testimonies
from dicom_node.slots.words import Said

NO_T1_BEFORE_COST = 3.5
NO_T1_AFTER_COST = 3.5
"""Hospitals image T1 on both sides of the agent: no T1-weighted series before it, or none after."""
PERHAPS_T1_COST = 1.8
"""As above, where the only one is a series that may be T1-weighted."""
BOTH_AFTER_COST = 1.5
"""As above, where two 3D T1 of different kinds begin the row one right after the other: perhaps both are after."""
NOT_SPLIT_COST = 3.0
NOT_SPLIT_2D_COST = 1.5
"""Two series of the same kind are there to compare without and with: both on the same side."""
REPEAT_NOT_SPLIT_COST = 0.5
REPEAT_NO_T1_AFTER_COST = 1.5
"""As above, where the second follows at once with the same parameters: perhaps a repeat after motion."""
NOT_LAST_COST = 2.0
"""T1 with the agent comes last: FLAIR or T2 after the last T1 speak of an examination in which none was given."""

_ROUTINE: Final = frozenset({Kind.T2, Kind.PD, Kind.T2_STAR, Kind.FLAIR_2D, Kind.FLAIR_3D, Kind.FLAIR_UNSURE})
"""Kinds that hospitals acquire before the agent, or while it accumulates."""
_PERHAPS_T1: Final = frozenset(
    {
        Kind.UNKNOWN, Kind.ANGIOGRAPHY, Kind.LOCALIZER, Kind.DYNAMIC, Kind.FIELD_MAP, Kind.MP2RAGE, Kind.PD, Kind.BSSFP,
        Kind.DIXON_PART, Kind.PROJECTION, Kind.TOO_SMALL, Kind.PHANTOM, Kind.MAP, Kind.OTHER_IR,
    }
)  # fmt: skip
"""Kinds that words or gaps in the header may have taken from a T1-weighted series."""
_LONG_TE_MS = 50.0
_RIGHT_AFTER_S = 600.0
_SURVEY_TE_MS = 1.8
"""The 3D surveys that precede an examination are faster than any T1 volume of a head."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastOpinion:
    """What is held of one series."""

    given: float
    """Probability (0 to 1) that the agent had been given."""
    contradiction: bool
    """Its own tag or words say the opposite of each other, or of the order in time."""
    reasons: tuple[str, ...]


def opinions(
    evidence: Sequence[Evidence], kinds: Sequence[Kind], fixed: Sequence[bool | None]
) -> tuple[ContrastOpinion, ...]:
    """One opinion for each series. `fixed`: True or False where a site rule settles it, else None."""
    own = testimonies(evidence, kinds, fixed)
    certain = {i for i, kind in enumerate(kinds) if kind in T1_KINDS}
    perhaps = {i for i, kind in enumerate(kinds) if kind in _PERHAPS_T1 and _may_be_t1(evidence[i], kind)}
    telling = {i for i, o in enumerate(own) if not o.silent}
    order = order_of(evidence, sorted(certain | perhaps | telling))
    given = [_alone(o) for o in own]
    notes: list[list[str]] = [[] for _ in own]
    if not order.unplaced & (certain | perhaps) and sum(_holds(s, certain | perhaps) for s in order.sessions) == 1:
        _weigh_sessions(order, evidence, kinds, own, certain, perhaps, given, notes)
    return tuple(_opinion(o, p, tuple(n)) for o, p, n in zip(own, given, notes, strict=True))


def _holds(session: Session, indices: set[int]) -> bool:
    return any(i in indices for moment in session.moments for i in moment)


def _may_be_t1(e: Evidence, kind: Kind) -> bool:
    """Whether physics leaves open that a series of one of those kinds is a 3D T1, or an unknown one any T1."""
    if e.te_ms is not None and (e.te_ms >= _LONG_TE_MS or (kind is Kind.LOCALIZER and e.te_ms < _SURVEY_TE_MS)):
        return False
    return kind is Kind.UNKNOWN or e.volumetric is not False


def _alone(o: Testimony) -> float:
    return 1.0 / (1.0 + math.exp(o.after - o.before))


def _weigh_sessions(
    order: Order,
    evidence: Sequence[Evidence],
    kinds: Sequence[Kind],
    own: Sequence[Testimony],
    certain: set[int],
    perhaps: set[int],
    given: list[float],
    notes: list[list[str]],
) -> None:
    for session in order.sessions:
        moments = session.moments
        costs = _session_costs(moments, evidence, kinds, own, certain, perhaps)
        best = min(costs)
        weights = [math.exp(best - cost) for cost in costs]
        total = sum(weights)
        share = 0.0
        for place, moment in enumerate(moments):
            share += weights[place]
            earlier = [i for m in moments[:place] for i in m if i in certain]
            later = [i for m in moments[place + 1 :] for i in m if i in certain]
            for i in moment:
                given[i] = share / total
                if given[i] > 0.5 and earlier:
                    notes[i].append(f"acquired after another T1-weighted series, {_names(earlier)}")
                elif given[i] < 0.5 and later:
                    notes[i].append(f"acquired before another T1-weighted series, {_names(later)}")


def _names(indices: Sequence[int]) -> str:
    return ", ".join(f"[{i}]" for i in indices[:3])


def _session_costs(
    moments: Sequence[Sequence[int]],
    evidence: Sequence[Evidence],
    kinds: Sequence[Kind],
    own: Sequence[Testimony],
    certain: set[int],
    perhaps: set[int],
) -> list[float]:
    """The cost of each hypothesis k: the agent was given just before moment k (k = len(moments): never)."""
    count = len(moments)
    sure = [any(i in certain for i in moment) for moment in moments]
    t1 = [moment for moment, is_sure in zip(moments, sure, strict=True) if is_sure]
    earlier, later = _routine_around(t1, evidence, kinds)
    both_after = earlier and _two_kinds_in_a_row(t1, evidence, kinds)
    maybe = [any(i in perhaps for i in moment) for moment in moments]
    pairs = _pairs(moments, evidence, kinds, certain)
    repeated = sum(sure) == 2 and any(pair[2] == REPEAT_NOT_SPLIT_COST for pair in pairs)
    none_after = REPEAT_NO_T1_AFTER_COST if repeated else NO_T1_AFTER_COST
    costs = []
    for k in range(count + 1):
        cost = sum(own[i].before for moment in moments[:k] for i in moment)
        cost += sum(own[i].after for moment in moments[k:] for i in moment)
        if k == 0 and both_after:
            cost += BOTH_AFTER_COST
        elif not any(sure[:k]):
            cost += PERHAPS_T1_COST if any(maybe[:k]) else NO_T1_BEFORE_COST
        if not any(sure[k:]):
            cost += min(PERHAPS_T1_COST, none_after) if any(maybe[k:]) else none_after
        elif later:
            cost += NOT_LAST_COST
        cost += sum(price for first, last, price in pairs if not first < k <= last)
        costs.append(cost)
    return costs


def _routine_around(
    t1: Sequence[Sequence[int]], evidence: Sequence[Evidence], kinds: Sequence[Kind]
) -> tuple[bool, bool]:
    """Whether FLAIR, T2 and the like were acquired before the first, and after the last, T1-weighted series."""
    if not t1:
        return False, False
    others = [e for e, kind in zip(evidence, kinds, strict=True) if kind in _ROUTINE and not e.derived]
    first, last = evidence[t1[0][0]], evidence[t1[-1][0]]
    return any(follows(other, first) for other in others), any(follows(last, other) for other in others)


def _two_kinds_in_a_row(t1: Sequence[Sequence[int]], evidence: Sequence[Evidence], kinds: Sequence[Kind]) -> bool:
    if len(t1) < 2:
        return False
    a, b = t1[0][0], t1[1][0]
    start, end = evidence[a].when.acquired_s, evidence[b].when.acquired_s
    apart = None if start is None or end is None else (end - start) % 86_400.0
    return {kinds[a], kinds[b]} == {Kind.T1_GRE_3D, Kind.T1_TSE_3D} and (apart is None or apart < _RIGHT_AFTER_S)


def _pairs(
    moments: Sequence[Sequence[int]], evidence: Sequence[Evidence], kinds: Sequence[Kind], certain: set[int]
) -> list[tuple[int, int, float]]:
    """First and last moment of each kind that occurs at several, with the price of not dividing them."""
    places: dict[object, list[tuple[int, int]]] = {}
    for place, moment in enumerate(moments):
        for i in moment:
            if i in certain and kinds[i] is not Kind.T1_UNSURE:
                key = (kinds[i], evidence[i].plane) if kinds[i] is Kind.T1_2D else kinds[i]
                places.setdefault(key, []).append((place, i))
    found = []
    for found_at in places.values():
        (first, a), (last, b) = found_at[0], found_at[-1]
        if first == last:
            continue
        price = NOT_SPLIT_2D_COST if kinds[a] is Kind.T1_2D else NOT_SPLIT_COST
        if last == first + 1 and _repeat(evidence[a], evidence[b]):
            price = REPEAT_NOT_SPLIT_COST
        found.append((first, last, price))
    return found


def _repeat(a: Evidence, b: Evidence) -> bool:
    """Whether b follows a at once with the same parameters, by their series numbers (Philips counts in hundreds)."""
    if a.when.number is None or b.when.number is None:
        return False
    step = b.when.number - a.when.number
    at_once = 0 < step <= 1 or (a.manufacturer.startswith("philips") and step == 100)
    return at_once and (a.tr_ms, a.te_ms, a.ti_ms, a.thickness_mm) == (b.tr_ms, b.te_ms, b.ti_ms, b.thickness_mm)


def _opinion(o: Testimony, given: float, notes: tuple[str, ...]) -> ContrastOpinion:
    against = (o.direct in {Said.GIVEN, Said.PERHAPS_GIVEN} and given < 0.5) or (
        o.direct is Said.NOT_GIVEN and given > 0.5
    )
    return ContrastOpinion(given=given, contradiction=o.conflict or against, reasons=(*o.reasons, *notes))
