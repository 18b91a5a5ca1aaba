"""The commands of training: each has help with an example, and one plain line for what cannot be used."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from training import evaluate, export, prepare, reproduce, train

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "train": train.main, "evaluate": evaluate.main, "export": export.main, "prepare": prepare.main,
    "reproduce": reproduce.main,
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        COMMANDS[name](["--help"])
    assert ended.value.code == 0
    _, example = capsys.readouterr().out.rsplit("example", 1)
    assert f"python -m training.{name} " in example


@pytest.mark.parametrize("name", ["evaluate", "prepare"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cases", "none", "."], "no layout 'none'; known: "),
        (["--cases", "brats", "empty"], "empty: no case of this layout"),
        (["--cases", "brats", "empty", "--out", "file/out"], "--out file/out cannot be made: Not a directory"),
    ],
)
def test_what_cannot_be_used_is_one_plain_line(
    name: str,
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert COMMANDS[name](["--out", "out", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"training.{name}: {words}")
    assert said.count("\n") == 1
