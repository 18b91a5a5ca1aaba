"""Which patients of a folder a run kept from training: those whom its split lets validate, or test.

Called by training/export, so that the folder that trained can give the thresholds and the metrics as well, without a
patient that trained, and so that the model card says who trained; and by training/evaluate, which says so where it
measures on them. Reads split.json (training/train); knows no weights.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.patients import names_of, patient_folders
from training.prepare import Source, open_source


def open_held_out(folder: Path, run: Path, part: str) -> Source:
    """The patients of a folder. Of those that `run` knows from its --data only the `part` (validation or test).

    Those of its --validate-on chose the weights, and so are not taken for the test. All are taken where `run` holds no
    split.json. Raises `CaseError` where the folder holds no patient, and `TrainingError` where none of them was kept.
    """
    source = open_source("cache", folder)
    split = _read(run / "split.json")
    known = _known(split, folder, source.names)
    chose = {path.resolve() for place in _validating(split, part) for path in patient_folders(place)}
    fresh = [index for index, name in enumerate(source.names) if (folder / name).resolve() not in chose]
    if not fresh:
        raise TrainingError(f"{folder}: {run} validated on these patients (--validate-on): give others for the test")
    kept = [
        index
        for index, place in ((index, (folder / source.names[index]).resolve()) for index in fresh)
        if place not in known or known[place] & set(split[part])
    ]
    if not kept:
        raise TrainingError(
            f"{folder}: {run} trained on these patients and kept none for the {part}: give others, or train anew with "
            f"--{part} .2"
        )
    return Source(names=tuple(source.names[index] for index in kept), get=lambda index: source.get(kept[index]))


def not_held_out(run: Path, kind: str, folder: Path, names: Sequence[str]) -> str:
    """A sentence where patients of a data set trained or chose the weights of `run`; empty where none did.

    Those of a cache are known by where they lie, others by their names. Raises `TrainingError` where the split of the
    run cannot be read.
    """
    split = _read(run / "split.json")
    if not split:
        return ""
    trained, chose = set(split["train"]), set(split["validation"])
    if kind == "cache":
        known = _known(split, folder, names)
        others = {path.resolve() for place in _validating(split, "test") for path in patient_folders(place)}
        places = [(folder / name).resolve() for name in names]
        called = [known.get(place, frozenset[str]()) for place in places]
        first = sum(bool(names & trained) for names in called)
        second = sum(place in others or bool(names & chose) for place, names in zip(places, called, strict=True))
    else:
        plain = [{re.split("[/:]", name)[-1] for name in part} for part in (trained, chose)]
        first, second = (sum(name in part for name in names) for part in plain)
    if not first + second:
        return ""
    return (
        f"Of these {len(names)} patients {first} trained the weights and {second} chose them (split.json beside them): "
        "these figures say nothing of other patients. `training.export --test` takes only those kept for the test."
    )


def who_trained(run: Path) -> tuple[str, ...]:
    """Sentences for the model card: how many patients of which folders trained and chose the weights of a run.

    Folders by their names alone: a path may tell of a person. Empty where `run` holds no split.json; raises
    `TrainingError` where that cannot be read.
    """
    split = _read(run / "split.json")
    if not split:
        return ()
    began = (f"Training began with the weights {split['start_from']}.",) if split["start_from"] else ()
    others = sorted({name.split("/")[0] for name in split["validation"] if "/" in name})  # of --validate-on
    drawn = split["data"] if any("/" not in name for name in split["validation"]) else []
    return (
        f"Training: {counted(len(split['train']), split['data'])}.",
        *began,
        f"Choice of the best weights: {counted(len(split['validation']), [*drawn, *others])}.",
    )


def counted(count: int, folders: Sequence[str | Path]) -> str:
    """`3 patients of the folders a, b`."""
    names = list(dict.fromkeys(Path(folder).name for folder in folders))
    where = f" of the folder{'s' * (len(names) > 1)} {', '.join(names)}" if names else ""
    return f"{count} patient{'s' * (count != 1)}{where}"


def _validating(split: dict[str, Any], part: str) -> list[Path]:
    """The folders of --validate-on, where what they chose is to be tested."""
    return [Path(place) for place in split.get("validate_on", []) if part == "test" and Path(place).is_dir()]


def _known(split: dict[str, Any], folder: Path, names: Sequence[str]) -> dict[Path, frozenset[str]]:
    """Where each patient of the folders that trained lies -> what the split may call it."""
    return {
        path.resolve(): frozenset(names_of(path, data))
        for data in _data(split, folder, names)
        for path in patient_folders(data)
    }


def _data(split: dict[str, Any], folder: Path, names: Sequence[str]) -> list[Path]:
    """The folders that trained. A run that does not say, or was moved, is told by the names of its patients."""
    standing = [Path(data) for data in split.get("data", []) if Path(data).is_dir()]
    if standing or not split:
        return standing
    drawn = not any("/" in name for name in split["validation"])  # else they came from --validate-on
    return [folder] if drawn and set(split["train"]) <= set(names) else []


def _read(path: Path) -> dict[str, Any]:
    """split.json; empty where there is none."""
    if not path.exists():
        return {}
    try:
        split: dict[str, Any] = json.loads(path.read_text())
        places = {name: split.get(name, []) for name in ("data", "validate_on")}
        parts = {name: list(split[name]) for name in ("train", "validation", "test")}
        return {**places, **parts, "start_from": str(split.get("start_from", ""))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is no split (JSON with the lists train, validation and test)") from error
