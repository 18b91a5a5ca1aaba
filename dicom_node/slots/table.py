"""`quartet slots PATH`: what the classifier makes of a DICOM folder or a file of JSON lines, for people and programs.

Called by cli.py. The only writer to standard output here. A line of input is
{"study": ..., "series": [{"headers": {keyword: value}}, ...]}, times in ms.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import NodeError
from dicom_node.records import StudyVerdict
from dicom_node.settings import SlotSettings
from dicom_node.slots.classify import classify_study
from dicom_node.slots.folder import FoundStudy, read_series_headers


class SlotsInputError(NodeError):
    """The path given holds nothing to classify; the text says what was expected."""


def run_slots(path: Path, *, as_json: bool, settings: SlotSettings, console: Console | None = None) -> int:
    """Print a table a study, or with `as_json` one JSON line a study. Exit code: 0, or 2 where nothing can be read."""
    out = console or Console()
    try:
        studies = read_studies(path)
        for found in studies:
            verdict = classify_study(found.series, settings.rules)
            if as_json:
                out.file.write(json.dumps(as_line(found.name, verdict), ensure_ascii=False) + "\n")
            else:
                out.print(as_table(found, verdict))
                out.print(_summary(verdict))
    except (NodeError, OSError) as error:
        Console(stderr=True).print(f"quartet slots: {error}", style="red", markup=False)
        return 2
    return 0


def read_studies(path: Path) -> tuple[FoundStudy, ...]:
    """The studies of a DICOM folder, a DICOM file, or a file of JSON lines. Raises `SlotsInputError`."""
    if not path.exists():
        raise SlotsInputError(f"{path} does not exist")
    if path.is_file() and not _is_dicom(path):
        return tuple(_lines(path))
    studies = read_series_headers(path)
    if not studies:
        raise SlotsInputError(f"{path} holds no DICOM files")
    return studies


def as_line(name: str, verdict: StudyVerdict) -> dict[str, object]:
    """The JSON form of a verdict: slot -> index of the chosen series or null, and a verdict for each series."""
    return {
        "study": name,
        "slots": {slot.value: verdict.chosen.get(slot) for slot in SequenceSlot},
        "series": [
            {"slot": s.slot.value if s.slot else None, "confidence": s.confidence, "reasons": list(s.reasons)}
            for s in verdict.series
        ],
    }


def as_table(found: FoundStudy, verdict: StudyVerdict) -> Table:
    """Series by series: index, number and description, slot (bold where chosen), confidence, reasons."""
    table = Table(title=f"Study {escape(found.name)}", title_justify="left", show_lines=False)
    for heading, justify in (("#", "right"), ("No.", "right"), ("Description", "left"), ("Slot", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    table.add_column("Sure", justify="right")
    table.add_column("Why", ratio=1, overflow="fold")
    for index, (headers, s) in enumerate(zip(found.series, verdict.series, strict=True)):
        chosen = s.slot is not None and verdict.chosen.get(s.slot) == index
        slot = "-" if s.slot is None else f"[bold green]{s.slot.label}[/]" if chosen else f"({s.slot.label})"
        table.add_row(
            str(index), _shown(headers, "SeriesNumber"), _shown(headers, "SeriesDescription"), slot,
            f"{s.confidence:.0%}", escape("; ".join(s.reasons)),
        )  # fmt: skip
    return table


def _summary(verdict: StudyVerdict) -> str:
    parts = [
        f"{slot.label}: {'missing' if (i := verdict.chosen.get(slot)) is None else f'series #{i}'}"
        for slot in SequenceSlot
    ]
    return ", ".join(parts) + "\n"


def _shown(headers: Mapping[str, object], keyword: str) -> str:
    value = headers.get(keyword)
    return "" if value is None else escape(str(value))


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or start.lstrip()[:1] != b"{"


def _lines(path: Path) -> Iterator[FoundStudy]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            series: Sequence[object] = raw["series"]
            headers = tuple(dict(one["headers"]) for one in series)  # type: ignore[index]
        except (ValueError, KeyError, TypeError) as error:
            expected = '{"study": ..., "series": [{"headers": {...}}, ...]}'
            raise SlotsInputError(f"{path}, line {number}: expected {expected}") from error
        yield FoundStudy(name=str(raw.get("study", number)), series=headers)
