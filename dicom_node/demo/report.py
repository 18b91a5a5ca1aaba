"""What came of the demo: found lesions against planted ones, files, seconds; as a table and as summary.json."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dicom_node.contract.messages import JobOutcome, Lesion, SlotState

REACH_MM = 3.0
"""A lesion counts as found where a reported centroid lies within its radius plus so much."""
TARGET_DIAMETER_MM = 6.0
"""From this size up lesions are counted apart: smaller ones are hard for anyone."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A metastasis that the simulator put in. `centroid_mm`: LPS, in the frame of the reference series."""

    centroid_mm: tuple[float, float, float]
    volume_ml: float
    diameter_mm: float


@dataclass(frozen=True, kw_only=True)
class Match:
    """A planted lesion and the reported one that lies on it, if any."""

    planted: Planted
    lesion: Lesion | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All that summary.json holds."""

    outcome: JobOutcome
    matches: tuple[Match, ...]
    unmatched: tuple[Lesion, ...]
    """Reported where nothing was planted: false positives."""
    files: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def found(self) -> int:
        return sum(match.lesion is not None for match in self.matches)

    @property
    def succeeded(self) -> bool:
        """SEG and SR came, and at least one planted lesion was found."""
        return {"seg", "sr"} <= set(self.files) and self.found > 0

    def of_target_size(self) -> tuple[int, int]:
        """Found and planted of `TARGET_DIAMETER_MM` or more."""
        large = [match for match in self.matches if match.planted.diameter_mm >= TARGET_DIAMETER_MM]
        return sum(match.lesion is not None for match in large), len(large)

    def write(self, path: Path) -> None:
        found, planted = self.of_target_size()
        content = {
            "research_use_only": True,
            "found": self.found,
            "planted": len(self.matches),
            "found_of_6_mm_or_more": found,
            "planted_of_6_mm_or_more": planted,
            "false_positives": len(self.unmatched),
            "outcome": asdict(self.outcome),
            "matches": [asdict(match) for match in self.matches],
            "files": dict(self.files),
            "seconds": dict(self.seconds),
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def match_lesions(
    planted: Sequence[Planted], lesions: Sequence[Lesion]
) -> tuple[tuple[Match, ...], tuple[Lesion, ...]]:
    """Give each planted lesion the nearest reported one that reaches it, each once; and what is left over."""
    pairs = sorted(
        (math.dist(p.centroid_mm, lesion.centroid_mm), i, lesion.number)
        for i, p in enumerate(planted)
        for lesion in lesions
        if math.dist(p.centroid_mm, lesion.centroid_mm) <= max(p.diameter_mm, lesion.long_axis_mm) / 2 + REACH_MM
    )
    taken: dict[int, int] = {}
    for _, i, number in pairs:
        if i not in taken and number not in taken.values():
            taken[i] = number
    by_number = {lesion.number: lesion for lesion in lesions}
    matches = tuple(Match(planted=p, lesion=by_number[taken[i]] if i in taken else None) for i, p in enumerate(planted))
    return matches, tuple(lesion for lesion in lesions if lesion.number not in taken.values())


def print_summary(summary: Summary, console: Console) -> None:
    """Sequences, lesions, files and seconds as tables."""
    _print_slots(summary, console)
    _print_lesions(summary, console)
    seconds = Table(title="Seconds", show_header=False)
    for stage, taken in summary.seconds.items():
        seconds.add_row(stage, f"{taken:.1f}")
    console.print(seconds)
    for kind, path in summary.files.items():
        console.print(f"{kind:8} {path}")
    console.print("Research use only. Not a medical device. The patient is synthetic.", style="bold")


def _print_slots(summary: Summary, console: Console) -> None:
    table = Table("sequence", "state", "remark", title="Sequences")
    colours = {SlotState.USED: "green", SlotState.MISSING: "yellow", SlotState.REJECTED: "red"}
    for use in summary.outcome.slots:
        table.add_row(use.slot.label, f"[{colours[use.state]}]{use.state.value}", use.reason)
    console.print(table)


def _print_lesions(summary: Summary, console: Console) -> None:
    found, planted = summary.of_target_size()
    title = f"Lesions: {summary.found} of {len(summary.matches)} found ({found} of {planted} from 6 mm up)"
    table = Table("planted", "mL", "diameter mm", "found", "mL", "long axis mm", "position mm (LPS)", title=title)
    for number, match in enumerate(summary.matches, start=1):
        left = (str(number), f"{match.planted.volume_ml:.2f}", f"{match.planted.diameter_mm:.1f}")
        table.add_row(*left, *_cells(match.lesion, match.planted.centroid_mm))
    for lesion in summary.unmatched:
        table.add_row("-", "", "", *_cells(lesion, lesion.centroid_mm))
    console.print(table)


def _cells(lesion: Lesion | None, position: tuple[float, float, float]) -> tuple[str, str, str, str]:
    place = " ".join(f"{value:.0f}" for value in position)
    if lesion is None:
        return "[red]missed", "", "", place
    return lesion.tracking_id, f"{lesion.volume_ml:.2f}", f"{lesion.long_axis_mm:.1f}", place
