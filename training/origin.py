"""origin.json of a report: where its patients lie, and which report its networks began with.

Called by training/reproduce, so that a later study can go on from a report that went on from another.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from training.configuration import read_text
from training.errors import TrainingError
from training.out_folder import write_text

ORIGIN = "origin.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a report goes back to."""

    cohort: Path
    """Its patients; an earlier report may have them."""
    start_from: Path | None
    """The report whose networks its own began with."""


def read_origin(report: Path) -> Origin | None:
    """What a report goes back to; one without origin.json, of an earlier release, that has a cohort/ began anew.

    None where neither is there. Raises `TrainingError` where origin.json cannot be read.
    """
    path, here = report / ORIGIN, report.resolve()
    if not path.exists():
        return Origin(cohort=report / "cohort", start_from=None) if (report / "cohort").is_dir() else None
    text = read_text(path)
    try:
        told = json.loads(text)
        began = told["start_from"]
        return Origin(
            cohort=(here / told["cohort"]).resolve(), start_from=None if began is None else (here / began).resolve()
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f'{path} is no JSON with the paths "cohort" and "start_from": mend it') from error


def write_origin(out: Path, origin: Origin) -> None:
    """Keep it in `out`, seen from there: reports that lie together can be moved together."""
    places = {"cohort": origin.cohort, "start_from": origin.start_from}
    seen = {name: os.path.relpath(place.resolve(), out.resolve()) if place else None for name, place in places.items()}
    write_text(out / ORIGIN, json.dumps(seen, indent=1) + "\n")
