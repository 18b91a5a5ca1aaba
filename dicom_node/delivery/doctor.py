"""What `quartet echo` and `quartet send` print. cli.py calls it; the work is done in echo.py and send.py."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from dicom_node.delivery.echo import echo
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send_files
from dicom_node.errors import SettingsError
from dicom_node.settings import DestinationSettings, Settings

_COLOURS = {Verdict.SENT: "green", Verdict.RETRY: "yellow", Verdict.REFUSED: "red"}


def print_echo(settings: Settings, name: str, console: Console) -> int:
    """Examine a destination and print each step. Exit code 0 where results can be delivered, else 1."""
    report = echo(_destination(settings, name), settings.association.ae_title)
    for step in report.steps:
        mark = "[green]ok[/]   " if step.ok else "[red]fault[/]"
        console.print(f"{mark}  {escape(step.name)}: {escape(step.text)}", highlight=False)
    console.print(f"{name} is ready for results." if report.ok else f"{name} cannot take results yet.")
    return 0 if report.ok else 1


def print_send(settings: Settings, files: Sequence[Path], name: str, console: Console) -> int:
    """Send files and print what became of each. Exit code 0 where all were stored, else 1."""
    reports = send_files(_destination(settings, name), files, own_ae_title=settings.association.ae_title)
    for report in reports:
        text = f": {report.reason}" if report.reason else ""
        colour = _COLOURS[report.verdict]
        console.print(f"[{colour}]{report.verdict}[/]  {escape(report.path.name + text)}", highlight=False)
    return 0 if all(report.verdict is Verdict.SENT for report in reports) else 1


def _destination(settings: Settings, name: str) -> DestinationSettings:
    by_name = {destination.name: destination for destination in settings.destinations}
    if name in by_name:
        return by_name[name]
    nearest = difflib.get_close_matches(name, by_name, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known are: {', '.join(by_name) or 'none'}"
    raise SettingsError(f"no destination is named {name}; {hint}")
