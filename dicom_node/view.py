"""What `quartet studies` and `quartet show` print: records of catalog/queries.py as tables. No patient identifiers."""

from collections.abc import Collection
from datetime import datetime

from rich.console import Console
from rich.table import Table

from dicom_node import wiring
from dicom_node.catalog import queries, studies
from dicom_node.catalog.deliveries import DeliveryState
from dicom_node.contract.messages import JobOutcome, SlotState
from dicom_node.settings import Settings
from dicom_node.study.states import StudyState

_COLOURS = {
    StudyState.DONE: "green",
    StudyState.HELD: "yellow",
    StudyState.NOT_PROCESSED: "yellow",
    StudyState.FAILED: "red",
    StudyState.UNDELIVERED: "red",
}
_SLOT_COLOURS = {SlotState.USED: "green", SlotState.MISSING: "yellow", SlotState.REJECTED: "red"}
ID_DIGITS = 8


def print_studies(settings: Settings, console: Console) -> None:
    """All studies, the newest first."""
    database = wiring.open_database(settings)
    with database.read() as connection:
        lines = queries.list_studies(connection)
    database.close()
    table = Table("study", "state", "sequences", "series", "objects", "last object", "reason", title="Studies")
    now = wiring.now()
    for line in lines:
        slots = ", ".join(slot.label for slot in line.slots)
        numbers = (str(line.series), str(line.objects), age(line.last_received_at, now))
        table.add_row(line.id[:ID_DIGITS], _state(line.state), slots, *numbers, line.reason)
    console.print(table if lines else "No study has arrived yet.")


def print_study(settings: Settings, text: str, console: Console) -> None:
    """One study in full. Raises `StudyError` where none or several fit."""
    database = wiring.open_database(settings)
    with database.read() as connection:
        detail = queries.show_study(connection, queries.find_study(connection, text))
    database.close()
    console.print(f"study {detail.line.id}: {_state(detail.line.state)}  {detail.line.reason}", highlight=False)
    for hold in detail.holds:
        console.print(f"held: {hold.reason}" + (" (released)" if hold.released_at else ""), style="yellow")
    console.print(_series_table(detail))
    for job in detail.jobs:
        _print_job(job, console)
        _print_deliveries(job, console, known=[destination.name for destination in settings.destinations])


def retry_study(settings: Settings, text: str, console: Console, *, keep_latest: bool = False) -> None:
    """Open a study for another try; `keep_latest` decides a held one for what came last. Raises `StudyError`."""
    database = wiring.open_database(settings)
    with database.write() as connection:
        study_id = queries.find_study(connection, text)
        state = studies.retry(connection, study_id, wiring.now(), keep_latest=keep_latest)
    database.close()
    console.print(
        f"study {study_id[:ID_DIGITS]} is {state.value} again; `quartet show {study_id[:ID_DIGITS]}` follows it"
    )


def _series_table(detail: queries.StudyDetail) -> Table:
    table = Table("series", "objects", "slot", "used", "sure", "why", title="Series")
    for series in detail.series:
        table.add_row(
            series.description or "(no description)",
            str(series.objects),
            series.slot.label if series.slot else "-",
            "yes" if series.chosen else "",
            f"{series.confidence:.0%}",
            "; ".join(series.reasons),
        )
    return table


def _print_job(job: queries.JobLine, console: Console) -> None:
    console.print(f"\njob {job.id[:ID_DIGITS]}: {job.state.value}  {job.reason}", highlight=False)
    if job.predecessor_job_id:
        console.print(f"  supersedes job {job.predecessor_job_id[:ID_DIGITS]}", highlight=False)
    for attempt in job.attempts:
        if attempt.reason:
            console.print(f"  attempt {attempt.number}: {attempt.reason}", highlight=False)
    if job.outcome is not None:
        _print_outcome(job.outcome, console)


def _print_deliveries(job: queries.JobLine, console: Console, *, known: Collection[str]) -> None:
    """What each destination has; `known` are the destinations of the settings."""
    for delivery in job.deliveries:
        again = f", next try {delivery.next_try_at:%H:%M:%S} UTC" if delivery.next_try_at else ""
        reason = delivery.reason
        if delivery.state is DeliveryState.PENDING and delivery.destination not in known:
            again, reason = "", "no destination of this name is in the settings: owed until it is there again"
        what = ", ".join(delivery.products)
        console.print(f"  {delivery.destination} ({what}): {delivery.state.value}{again}  {reason}", highlight=False)


def _print_outcome(outcome: JobOutcome, console: Console) -> None:
    for use in outcome.slots:
        colour = _SLOT_COLOURS[use.state]
        console.print(f"  {use.slot.label:10} [{colour}]{use.state.value}[/] {use.reason}", highlight=False)
    if outcome.model is not None:
        total = sum(lesion.volume_ml for lesion in outcome.lesions)
        model = f"{outcome.model.name} {outcome.model.version} ({outcome.model.weights_digest[:12]})"
        console.print(f"  {len(outcome.lesions)} lesions, {total:.2f} mL, by {model}", highlight=False)


def _state(state: StudyState) -> str:
    colour = _COLOURS.get(state, "cyan")
    return f"[{colour}]{state.value}[/]"


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest fitting unit."""
    seconds = max(0.0, (now - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
