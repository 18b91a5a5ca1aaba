"""The best series of each slot where several fit, and why the others lost.

Called by classify.py. Pure. The order of the criteria: a site's rule, originals before reformats, whole before
truncated volumes, prepared gradient echoes (as the model was trained on) before plain ones, finer before coarser, later
before earlier (a repeat is made because the first was bad; after Gd, later means more of the agent in the lesion).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicom_node.contract.slots import SequenceSlot
from dicom_node.slots import physics
from dicom_node.slots.evidence import Evidence
from dicom_node.slots.kinds import Kind

WHOLE_SHARE = 0.8
"""A candidate that covers less than this share of the largest coverage (slices x distance) is truncated."""
FINER_MM = 0.3
"""Slice thicknesses closer than this count as equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A series that fits a slot."""

    index: int
    evidence: Evidence
    kind: Kind
    by_site: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The winner of a slot, and for each loser a sentence that names the winner and the reason."""

    winner: int
    losers: Mapping[int, str]


def choose(slot: SequenceSlot, candidates: Sequence[Candidate]) -> Choice:
    """Pick one of at least one candidate. The order of the input does not matter."""
    known = [c for c in (coverage_mm(candidate.evidence) for candidate in candidates) if c is not None]
    largest = max(known, default=0.0)
    row = sorted(candidates, key=lambda c: (_merits(slot, c, largest), -c.index), reverse=True)
    winner, best = row[0], _merits(slot, row[0], largest)
    losers = {}
    for loser in row[1:]:
        merits = _merits(slot, loser, largest)
        place = next((n for n, (a, b) in enumerate(zip(best, merits, strict=True)) if a != b), len(_LOST) - 1)
        losers[loser.index] = f"lost to series [{winner.index}]: {_LOST[place]}"
    return Choice(winner=winner.index, losers=losers)


_LOST = (
    "a rule of the site chose that one",
    "that one is an original, this a reformat",
    "that one is 3D",
    "that one is whole, this covers much less",
    "that one is magnetisation-prepared, as the model knows it",
    "that one is finer",
    "that one has finer pixels",
    "that one was acquired later",
    "that one has the higher series number",
    "nothing tells them apart, the first was taken",
)


def _merits(slot: SequenceSlot, c: Candidate, largest_mm: float) -> tuple[float, ...]:
    e = c.evidence
    covered = coverage_mm(e)
    time = e.when.acquired_s if e.when.acquired_s is not None else e.when.begun_s
    return (
        c.by_site,
        not is_reformat(e),
        c.kind is not Kind.FLAIR_2D,
        covered is None or covered >= WHOLE_SHARE * largest_mm,
        slot is SequenceSlot.BRAVO and physics.prepared(e),
        -round((e.thickness_mm if e.thickness_mm is not None else 10.0) / FINER_MM),
        -round((e.pixel_mm if e.pixel_mm is not None else 2.0) / FINER_MM),
        (e.when.day or 0) * 86_400.0 + (time if time is not None else 0.0),
        float(e.when.number or 0),
        0.0,
    )


def coverage_mm(e: Evidence) -> float | None:
    """Slices times their distance in mm; None where either is unknown."""
    distance = e.thickness_mm if e.spacing_mm is None else e.spacing_mm
    if distance is None or e.slices is None:
        return None
    return e.slices * distance


def is_reformat(e: Evidence) -> bool:
    """Whether the planes were calculated from another series (MPR)."""
    return e.derived or "PROJECTION IMAGE" in e.image_type or "MPR" in e.image_type or "REFORMATTED" in e.image_type
