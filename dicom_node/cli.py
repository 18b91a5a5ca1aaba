"""`quartet`: the command line. Each command reads its arguments, calls one function of a room, and prints.

Heavy rooms are imported inside the commands, so that `quartet --help` is quick. Every error of ours ends as one plain
text: with exit code 2 where a person must act first, with 75 where the same may go well later (a database that is
away), so that a service manager knows which of them to start again. Nothing here decides anything.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import NodeError
from dicom_node.settings import Settings, load
from dicom_node.supervise import UNUSABLE

app = typer.Typer(
    name="quartet",
    help="Find and outline brain metastases with whatever MRI sequences arrived. Research use only.",
    epilog="example: quartet demo --out demo; then quartet serve --config quartet.toml",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
config_app = typer.Typer(
    help="Look at the configuration.",
    epilog="example: quartet config check --config /etc/quartet/quartet.toml",
    no_args_is_help=True,
)
app.add_typer(config_app, name="config")
console = Console()

TRY_AGAIN = 75
"""EX_TEMPFAIL of sysexits.h."""
DEFAULT_CONFIG = Path("quartet.toml")
Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="QUARTET_CONFIG", help="quartet.toml; see deploy/quartet.example.toml")
]


@app.command(epilog="example: quartet demo --out demo --without BRAVO --seed 7")
def demo(
    out: Annotated[Path, typer.Option(help="folder for seg.dcm, sr.dcm, preview.png, summary.json")] = Path("demo"),
    without: Annotated[list[SequenceSlot] | None, typer.Option(help="leave a sequence out; repeatable")] = None,
    seed: Annotated[int, typer.Option(help="another seed is another patient")] = 1,
) -> None:
    """Send one synthetic patient through the whole node on this machine and show what came of it."""
    from dicom_node.demo import run

    raise typer.Exit(run.run(run.DemoOptions(out=out, without=tuple(without or ()), seed=seed), console))


@app.command(epilog="example: quartet serve --config quartet.toml")
def serve(config: Config = DEFAULT_CONFIG) -> None:
    """Run the whole node on this machine: receiver, coordinator, worker and broker, supervised. Stops on SIGTERM."""
    from dicom_node import serve as serving

    raise typer.Exit(serving.run(_service_settings(config), config.resolve()))


@app.command(epilog="example: quartet receive --config /etc/quartet/quartet.toml")
def receive(config: Config = DEFAULT_CONFIG) -> None:
    """Run the receiver alone: answers C-STORE and C-ECHO. Stops on SIGTERM, after draining."""
    from dicom_node import receive as receive_

    receive_.run(_service_settings(config))


@app.command(epilog="example: quartet coordinate --config /etc/quartet/quartet.toml")
def coordinate(config: Config = DEFAULT_CONFIG) -> None:
    """Run the coordinator alone: completes studies, makes jobs, delivers results. Stops on SIGTERM."""
    from dicom_node import coordinate as coordinate_

    coordinate_.run(_service_settings(config))


@app.command(epilog="example: quartet worker --config /etc/quartet/quartet.toml")
def worker(config: Config = DEFAULT_CONFIG) -> None:
    """Run one worker: registration, inference, SEG and SR. Needs the worker extra; run as many as there are GPUs."""
    os.execv(sys.executable, [sys.executable, "-m", "worker", "--config", str(config)])


@app.command(epilog="example: quartet echo pacs")
def echo(
    name: Annotated[str, typer.Argument(help="name of a destination in quartet.toml")], config: Config = DEFAULT_CONFIG
) -> None:
    """Ask a destination whether it hears us and takes our results, and say in plain words what is wrong."""
    from dicom_node.delivery import doctor

    raise typer.Exit(doctor.print_echo(_settings(config), name, console))


@app.command(epilog="example: quartet studies")
def studies(config: Config = DEFAULT_CONFIG) -> None:
    """List the studies: state, sequences, age, and why one waits or failed."""
    from dicom_node import view

    view.print_studies(_settings(config), console)


@app.command(epilog="example: quartet show 3f2a")
def show(
    study: Annotated[str, typer.Argument(help="our id of the study, or its beginning, or its Study Instance UID")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Show one study: series and slots with reasons, jobs, outcome, deliveries."""
    from dicom_node import view

    view.print_study(_settings(config), study, console)


@app.command(epilog="example: quartet retry 3f2a")
def retry(
    study: Annotated[str, typer.Argument(help="our id of the study, or its beginning, or its Study Instance UID")],
    latest: Annotated[
        bool, typer.Option("--latest", help="of a held study use the patient and the content that came last, not first")
    ] = False,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Try a failed or held study again: fresh attempts, and deliveries that were refused are due at once."""
    from dicom_node import view

    view.retry_study(_settings(config), study, console, keep_latest=latest)


@app.command(epilog="example: quartet slots /data/study --json")
def slots(
    path: Annotated[Path, typer.Argument(help="a folder of DICOM files, or a file of JSON lines")],
    as_json: Annotated[bool, typer.Option("--json", help="one line a study instead of a table")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="take the site rules from here")] = None,
) -> None:
    """Show into which slot each series would go, and why."""
    from dicom_node.slots.table import run_slots

    raise typer.Exit(run_slots(path, as_json=as_json, settings=(_settings(config) if config else Settings()).slots))


@app.command(epilog="example: quartet lint demo/seg.dcm demo/sr.dcm --display study/bravo")
def lint(
    files: Annotated[list[Path] | None, typer.Argument(help="SEG, SR and other results of Quartet")] = None,
    display: Annotated[list[Path] | None, typer.Option(help="images, or a folder of them, that they lie on")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit code 1 on notes too")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="list all rules with their reasons")] = False,
) -> None:
    """Check results against what viewers need. Needs the worker extra."""
    flags = [*(["--strict"] if strict else []), *(["--rules"] if rules else [])]
    shown = ["--display", *map(str, display)] if display else []
    os.execv(sys.executable, [sys.executable, "-m", "worker.results.lint", *map(str, files or []), *flags, *shown])


@app.command(epilog="example: quartet send demo/seg.dcm demo/sr.dcm --to pacs")
def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files")],
    to: Annotated[str, typer.Option("--to", help="name of a destination in quartet.toml")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Send files to a destination by C-STORE or STOW-RS, as the node would."""
    from dicom_node.delivery import doctor

    raise typer.Exit(doctor.print_send(_settings(config), files, to, console))


@app.command(epilog="example: quartet conformance --config quartet.toml > conformance.md")
def conformance(config: Config = DEFAULT_CONFIG) -> None:
    """Print the DICOM conformance statement (PS3.2) of this configuration, as Markdown."""
    from dicom_node.conformance.statement import statement

    typer.echo(statement(_settings(config)), nl=False)


@config_app.command("check", epilog="example: quartet config check --config /etc/quartet/quartet.toml")
def config_check(config: Config = DEFAULT_CONFIG) -> None:
    """Tell whether the configuration can be used: keys, storage root, port, weights."""
    from dicom_node import check as checking

    checking.check(_settings(config), config, console)


def _settings(config: Path) -> Settings:
    return load(config)


def _service_settings(config: Path) -> Settings:
    """Settings of a process that runs on and on: its logs are set up too."""
    from dicom_node import logs

    settings = load(config)
    logs.configure(settings.logs)
    return settings


def main() -> None:
    """Entry point. Errors of ours are printed plainly, and end with the exit code that their kind asks for."""
    try:
        app()
    except NodeError as error:
        Console(stderr=True).print(f"quartet: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(TRY_AGAIN if error.retryable else UNUSABLE)


if __name__ == "__main__":
    main()
