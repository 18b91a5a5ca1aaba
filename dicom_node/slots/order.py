"""In which order the series of a study were acquired: sessions on one scanner, each a row of moments.

Called by contrast.py. Time is trusted only where it is beyond doubt: one scanner (a study may hold images of two), one
day or a stretch over midnight, and series numbers that agree with the clock. What cannot be placed is said to be so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dicom_node.slots.evidence import Evidence

SAME_MOMENT_S = 5.0
"""Parts of one acquisition (phases, reformats) carry its time; two acquisitions begin minutes apart."""
SHORTEST_3D_S = 75.0
"""No 3D scan of a whole head with another's timing can follow sooner."""
SESSION_GAP_S = 3 * 3600.0
"""After a longer pause the patient may have come back without, or the agent be washed out."""
STEP_S = 120.0
"""What one series number after another stands for where there is no clock."""
DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One stay on one scanner: `moments` in time, each the indices of the series acquired then."""

    moments: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """The sessions of a study, and the series that have no certain place in any."""

    sessions: tuple[Session, ...]
    unplaced: frozenset[int]


def order_of(evidence: Sequence[Evidence], considered: Sequence[int]) -> Order:
    """Place the considered series (indices). Pure; the order of the input does not matter."""
    groups, unplaced = _by_device(evidence, considered)
    sessions: list[Session] = []
    for members in groups:
        times = _times(evidence, members)
        unplaced.update(i for i in members if i not in times)
        for i in _out_of_order(evidence, times):
            unplaced.add(i)
            del times[i]
        sessions.extend(_split(times))
    return Order(sessions=tuple(sessions), unplaced=frozenset(unplaced))


def follows(a: Evidence, b: Evidence) -> bool:
    """Whether b was begun after a, within one session: by the clock where both have one, else by the series numbers."""
    if a.when.acquired_s is not None and b.when.acquired_s is not None:
        return SAME_MOMENT_S < (b.when.acquired_s - a.when.acquired_s) % DAY_S < SESSION_GAP_S
    return a.when.number is not None and b.when.number is not None and a.when.number < b.when.number


def _by_device(evidence: Sequence[Evidence], considered: Sequence[int]) -> tuple[list[list[int]], set[int]]:
    """Series by scanner. A header that is silent in part joins the one scanner that it agrees with in what it says;
    one that agrees with several, or that names neither model, serial number nor field strength, has no place."""
    exact: dict[tuple[object, ...], list[int]] = {}
    for i in considered:
        exact.setdefault(evidence[i].device, []).append(i)
    if len(exact) == 1 and any(next(iter(exact))[1:]):
        return list(exact.values()), set()
    groups: list[tuple[tuple[object, ...], list[int]]] = []
    unplaced: set[int] = set()
    for device, members in sorted(exact.items(), key=lambda item: (-sum(map(bool, item[0])), str(item[0]))):
        agreeing = [n for n, (other, _) in enumerate(groups) if _compatible(device, other)]
        if not any(device[1:]) or len(agreeing) > 1:
            unplaced.update(members)
        elif not agreeing:
            groups.append((device, members))
        elif _shares(device, groups[agreeing[0]][0]):
            known, together = groups[agreeing[0]]
            groups[agreeing[0]] = (tuple(a or b for a, b in zip(known, device, strict=True)), together + members)
        else:
            unplaced.update(members)
            unplaced.update(groups.pop(agreeing[0])[1])
    return [members for _, members in groups], unplaced


def _compatible(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    return all(x == y or not x or not y for x, y in zip(a, b, strict=True))


def _shares(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    return any(x and x == y for x, y in zip(a[1:], b[1:], strict=True))


def _times(evidence: Sequence[Evidence], members: Sequence[int]) -> dict[int, float]:
    """Seconds on one clock for all: acquisition time, else series time, else the series numbers at even steps.

    A reformat's series time and number are of its making; only its acquisition time is of the scan. Where no clock
    covers all members, those without acquisition time get no place.
    """
    acquired = {i: s for i in members if (s := evidence[i].when.acquired_s) is not None}
    if len(acquired) == len(members):
        return _on_days(evidence, acquired)
    scans = [i for i in members if not evidence[i].derived]
    begun = {i: s for i in scans if (s := evidence[i].when.begun_s) is not None}
    if len(begun) == len(members):
        return _on_days(evidence, begun)
    numbers = {i: n for i in scans if (n := evidence[i].when.number) is not None}
    if len(numbers) == len(members):
        steps = sorted(set(numbers.values()))
        return {i: steps.index(n) * STEP_S for i, n in numbers.items()}
    return _on_days(evidence, acquired)


def _on_days(evidence: Sequence[Evidence], clock: dict[int, float]) -> dict[int, float]:
    days = {i: day for i in clock if (day := evidence[i].when.day) is not None}
    if days and len(days) < len(clock) and len(set(days.values())) == 1:
        days = {}
    if days:
        return {i: clock[i] + DAY_S * day for i, day in days.items()}
    return _past_midnight(clock)


def _past_midnight(clock: dict[int, float]) -> dict[int, float]:
    """Without dates: start after the longest pause on the clock face, if it is longer than half a day."""
    row = sorted(clock.values())
    if len(row) < 2:
        return clock
    pause, start = max((b - a, b) for a, b in pairwise(row))
    if pause <= DAY_S / 2:
        return clock
    return {i: s if s >= start else s + DAY_S for i, s in clock.items()}


def _out_of_order(evidence: Sequence[Evidence], times: dict[int, float]) -> set[int]:
    """Series whose numbers contradict the clock: one of the two is wrong, and nobody knows which."""
    row = sorted((i for i in times if not evidence[i].derived), key=lambda i: times[i])
    found: set[int] = set()
    for n, a in enumerate(row):
        for b in row[n + 1 :]:
            first, second = evidence[a].when.number, evidence[b].when.number
            apart = SAME_MOMENT_S < times[b] - times[a] < SESSION_GAP_S
            if _too_soon(evidence[a], evidence[b], times[b] - times[a]):
                found |= {a, b}
            if apart and first is not None and second is not None and first > second:
                found |= {a, b}
    return found


def _too_soon(a: Evidence, b: Evidence, apart_s: float) -> bool:
    """Two 3D scans of different timing that begin within seconds: one of the two clocks is not of the scan."""
    if not SAME_MOMENT_S < apart_s < SHORTEST_3D_S or a.volumetric is False or b.volumetric is False:
        return False
    return (a.tr_ms, a.te_ms, a.ti_ms) != (b.tr_ms, b.te_ms, b.ti_ms)


def _split(times: dict[int, float]) -> list[Session]:
    sessions: list[Session] = []
    moments: list[tuple[int, ...]] = []
    last: float | None = None
    for i in sorted(times, key=lambda i: (times[i], i)):
        if last is not None and times[i] - last > SESSION_GAP_S:
            sessions.append(Session(moments=tuple(moments)))
            moments, last = [], None
        if last is not None and times[i] - last <= SAME_MOMENT_S:
            moments[-1] = (*moments[-1], i)
        else:
            moments.append((i,))
        last = times[i]
    return [*sessions, Session(moments=tuple(moments))] if moments else sessions
