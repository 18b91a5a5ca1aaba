"""In which order the series of a study were acquired: sessions on one scanner, each a row of moments.

Called by contrast.py. Time is trusted only where it is beyond doubt: one scanner (a study may hold images of two), one
day or a stretch over midnight, and series numbers that agree with the clock. What cannot be placed is said to be so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.slots.evidence import Evidence

SAME_MOMENT_S = 5.0
"""Parts of one acquisition (phases, reformats) carry its time; two acquisitions begin minutes apart."""
SESSION_GAP_S = 3 * 3600.0
"""After a longer pause the patient may have come back without, or the agent be washed out."""
STEP_S = 60.0
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
    groups: dict[tuple[object, ...], list[int]] = {}
    unplaced: set[int] = set()
    for i in considered:
        device = evidence[i].device
        if any(device[1:]):
            groups.setdefault(device, []).append(i)
        else:
            unplaced.add(i)
    if len(groups) > 1:
        _drop_doubtful(groups, unplaced)
    sessions: list[Session] = []
    for members in groups.values():
        times = _times(evidence, members)
        unplaced.update(i for i in members if i not in times)
        for i in _out_of_order(evidence, times):
            unplaced.add(i)
            del times[i]
        sessions.extend(_split(times))
    return Order(sessions=tuple(sessions), unplaced=frozenset(unplaced))


def _drop_doubtful(groups: dict[tuple[object, ...], list[int]], unplaced: set[int]) -> None:
    """Scanners that differ only where one header is silent may be one or two: the members have no certain place."""
    devices = list(groups)
    for n, a in enumerate(devices):
        for b in devices[n + 1 :]:
            if all(x == y or not x or not y for x, y in zip(a, b, strict=True)):
                unplaced.update(groups.get(a, ()))
                unplaced.update(groups.get(b, ()))
    for device in devices:
        groups[device] = [i for i in groups[device] if i not in unplaced]


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
    pause, start = max((b - a, b) for a, b in zip(row, row[1:], strict=False))
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
            if apart and first is not None and second is not None and first > second:
                found |= {a, b}
    return found


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
