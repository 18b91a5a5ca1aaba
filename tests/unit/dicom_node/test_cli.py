"""The command line: every command has help with an example, and the exit code tells whether another try can help."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dicom_node import cli
from dicom_node.catalog.database import CatalogDamaged, CatalogLocked, CatalogUnusable
from dicom_node.contract.slots import SequenceSlot
from dicom_node.errors import NodeError, SettingsError
from dicom_node.store.errors import StoreUnusable

COMMANDS = [
    "demo", "serve", "receive", "coordinate", "worker", "echo", "studies", "show", "retry", "slots", "lint", "send",
    "conformance", "config check",
]  # fmt: skip


def quartet(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "dicom_node.cli", *words], capture_output=True, text=True, check=False)


def test_these_are_all_commands() -> None:
    group = typer.main.get_command(cli.app)
    names = {*group.commands} - {"config"} | {f"config {name}" for name in group.commands["config"].commands}  # type: ignore[attr-defined]
    assert names == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_an_example_that_begins_with_it(command: str) -> None:
    group = typer.main.get_command(cli.app)
    for word in command.split():
        group = group.commands[word]  # type: ignore[attr-defined]
    assert group.help
    assert str(group.epilog).startswith(f"example: quartet {command}")


def test_the_groups_have_an_example_too() -> None:
    group = typer.main.get_command(cli.app)
    assert str(group.epilog).startswith("example: quartet ")
    assert str(group.commands["config"].epilog).startswith("example: quartet config ")  # type: ignore[attr-defined]


def test_help_of_the_whole_lists_the_commands() -> None:
    said = quartet("--help")
    assert said.returncode == 0
    assert all(command.split()[0] in said.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), 2),
        (StoreUnusable("x"), 2),
        (CatalogDamaged("x"), 2),
        (CatalogUnusable("x"), 2),
        (CatalogLocked("x"), 75),
    ],
)
def test_the_exit_code_tells_whether_to_start_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: NodeError, code: int
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "quartet: x\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([word for slot in SequenceSlot for word in ("--without", slot.value)], "leaves no sequence"),
        (["--out", "file/demo"], "--out file/demo cannot be made: Not a directory"),
    ],
)
def test_a_demo_that_cannot_be_is_one_plain_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["quartet", "demo", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in said
    assert said.count("\n") == 1


def test_a_database_that_is_away_is_worth_another_try(tmp_path: Path) -> None:
    """systemd must start the node again when PostgreSQL comes up after it."""
    config = tmp_path / "quartet.toml"
    url = "postgresql+psycopg://quartet@127.0.0.1:1/quartet"
    config.write_text(f'[storage]\nroot = "{tmp_path}"\n[catalog]\nurl = "{url}"\n')
    said = quartet("studies", "--config", str(config))
    assert said.returncode == 75
    assert "check that the database runs" in said.stderr
    assert "Traceback" not in said.stderr
