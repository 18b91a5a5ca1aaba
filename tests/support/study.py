"""The paper's study as a user starts it, in tests: its command line, folders that stand in for hours of work."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from support.patients import write_patient
from support.weights import random_card

from model.card import to_json
from model.checkpoint import CARD_FILE
from training import reproduce


def one_by_one(command: Callable[..., None]) -> Callable[[str, dict[str, Sequence[str]]], list[None]]:
    """In the place of commands side by side."""
    return lambda module, arguments: [command(module, *given) for given in arguments.values()]


def small(out: Path, *options: str | Path) -> int:
    """The small study as a user starts it, but without its largest network unless the options name one."""
    return reproduce.main(["--small", "--out", str(out), "--deeplab", "none", *map(str, options)])


def label_maps(folder: Path, numbers: Iterable[int]) -> Path:
    """Empty ones: what they are called is all that is read."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number:02d}.nii.gz").touch()
    return folder


def a_report(folder: Path) -> Path:
    """What a later study needs of an earlier one, without numbers in it."""
    for part in reproduce.PARTS:
        write_patient(folder / "cohort" / part, 1, slices=2)
    for name in reproduce.RUNS.values():
        weights = folder / "runs" / name / "weights"
        weights.mkdir(parents=True)
        architecture = reproduce.SMALL.deeplab if name == "deeplab" else reproduce.SMALL.architecture
        (weights / CARD_FILE).write_text(to_json(random_card(architecture=architecture)))
    return folder


def option(arguments: Sequence[str], name: str) -> str:
    """What a command line gives an option."""
    return arguments[arguments.index(name) + 1]
