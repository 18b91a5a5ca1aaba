"""`make soak`: kill -9 against a running node, again and again; at the end nothing is lost and nothing is doubled.

    python tests/soak/soak.py --rounds 200 --seed 7

Each round sends a small study (new, doubled, or a late series of a former one) and kills a random part at a random
moment. Exit code 1 on any breach. On loopback only; all in a temporary folder, which stays after a breach.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from soak.storm import Storm
from soak.verdict import Verdict, judge, unsettled
from support.demo_pacs import running_pacs
from support.node import running_node

ATTEMPTS = 50
"""A job may be killed so often by bad luck before it counts as a study that kills its worker."""
MOST_IN_FLIGHT = 4
SETTLE_MINUTES = 20.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a soak went."""

    verdict: Verdict
    storm: Storm
    rounds: int
    seconds: float


def soak(
    folder: Path, *, rounds: int, seed: int, minutes: float = 240.0, on_round: Callable[[str], None] = lambda _: None
) -> Report:
    """Run the rounds, wait until all is settled, and judge. Ends early when `minutes` are over."""
    start = time.monotonic()
    done = 0
    attempts = f"attempts = {ATTEMPTS}"
    with (
        running_pacs() as pacs,
        running_node(folder, destinations={"PACS": pacs.port}, jobs=attempts, lease_s=8.0) as node,
    ):
        storm = Storm(node=node, pacs=pacs, folder=folder / "sent", seed=seed)
        while done < rounds and time.monotonic() - start < minutes * 60:
            on_round(storm.round(done + 1))
            done += 1
            _wait(lambda: unsettled(node.storage) <= MOST_IN_FLIGHT, node.storage)
        pacs.statuses.clear()
        _wait(lambda: unsettled(node.storage) == 0, node.storage)
        verdict = judge(node.storage, storm.ledger, pacs)
        storm.tidy()
    return Report(verdict=verdict, storm=storm, rounds=done, seconds=time.monotonic() - start)


def _wait(holds: Callable[[], bool], storage: Path) -> None:
    """Wait, as long as studies still move at all."""
    deadline = time.monotonic() + SETTLE_MINUTES * 60
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{unsettled(storage)} studies did not settle in {SETTLE_MINUTES:.0f} min")
        time.sleep(0.5)


def main() -> int:
    """Parse, run with a progress bar, print the summary. 0 where nothing was breached."""
    parser = argparse.ArgumentParser(description="kill -9 against a running node", epilog="example: make soak")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="another seed is another storm")
    parser.add_argument("--minutes", type=float, default=240.0, help="no new round after so many")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="quartet-soak-"))
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("kill -9", total=arguments.rounds)

        def on_round(line: str) -> None:
            console.print(line, style="dim", highlight=False)
            bar.advance(task)

        report = soak(
            folder, rounds=arguments.rounds, seed=arguments.seed, minutes=arguments.minutes, on_round=on_round
        )
    print_report(report, console)
    if not report.verdict.breaches and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        console.print(f"everything lies in {folder}", highlight=False)
    return 1 if report.verdict.breaches else 0


def print_report(report: Report, console: Console) -> None:
    """The summary in plain lines."""
    ledger, verdict = report.storm.ledger, report.verdict
    kills = ", ".join(f"{name} {count}" for name, count in ledger.kills.items())
    for line in (
        f"{report.rounds} rounds in {report.seconds / 60:.1f} min, seed {report.storm.seed}",
        f"killed: {kills}",
        f"studies {len(ledger.studies)}, sent again whole {ledger.doubled}, late series {ledger.late}",
        f"objects acknowledged {len(ledger.acknowledged)}, repeated after a broken association {ledger.sent_again}",
        f"snapshots {verdict.snapshots}, result objects in the PACS {verdict.results}, "
        f"sent twice with the same bytes {verdict.sent_twice}, refused by the PACS once {ledger.refusals}",
    ):
        console.print(line, highlight=False)
    for breach in verdict.breaches:
        console.print(f"BREACH {breach}", style="red", highlight=False)
    if not verdict.breaches:
        console.print("Nothing acknowledged was lost; each result arrived once, whole, with its UIDs.", style="green")


if __name__ == "__main__":
    sys.exit(main())
