"""The heads of a study: label maps divided into those that train, validate and test, as folders of links.

Called by training/reproduce. Heads of the held-out patients are those of the test.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.cohort.anatomy import anatomy_files
from training.errors import TrainingError

SHARES = ("train", "validation", "test")
"""The folders of links."""


def share_heads(anatomy: Path | None, out: Path) -> dict[str, Path]:
    """Divide the label maps of a folder into folders of links, so that no head both trains and tests: 70, 10, 20 %.

    Links of another division are taken away: the cohort command refuses patients that were made by them. Empty without
    a folder: then all patients have nilearn's one head, deformed. `TrainingError` for fewer than three.
    """
    parts = divided(anatomy)
    targets = {path: path.resolve() for chosen in parts.values() for path in chosen}
    for path in strange(standing_heads(out), parts):
        if not path.is_symlink():
            raise TrainingError(f"{path} is none of the links that this command makes there: move it away")
        path.unlink()
    for name, chosen in parts.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in chosen:
            link = out / name / path.name
            if link.is_symlink():
                link.unlink()
            if not link.exists():
                link.symlink_to(targets[path])
    return {name: out / name for name in parts}


def standing_heads(out: Path) -> list[Path]:
    """What the shares of an earlier division hold."""
    return sorted(path for share in SHARES for path in (out / share).glob("*.nii*"))


def strange(standing: Sequence[Path], wanted: Mapping[str, Sequence[Path]]) -> list[Path]:
    """Those that stand in a share that is not, or no longer, theirs."""
    names = {share: {path.name for path in chosen} for share, chosen in wanted.items()}
    return [path for path in standing if path.name not in names.get(path.parent.name, set())]


def divided(anatomy: Path | None) -> dict[str, list[Path]]:
    """The label maps by share; none without a folder."""
    files = anatomy_files(anatomy)
    if not files:
        return {}
    if len(files) < 3:
        raise TrainingError(
            f"{anatomy} holds {len(files)} label maps; three are the least, as test heads must not train"
        )
    first, second = min(round(0.7 * len(files)), len(files) - 2), min(round(0.8 * len(files)), len(files) - 1)
    return dict(zip(SHARES, (files[:first], files[first:second], files[second:]), strict=True))
