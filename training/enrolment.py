"""Who takes part in a training: the patients of --data and --validate-on, and the split that is theirs.

A run that goes on keeps its saved split; nobody trains and validates, whatever the names and links. Called by
training/train with its options; training/split draws.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.configuration import read_text
from training.errors import TrainingError
from training.patients import Patient, names_of, open_patient, patient_folders
from training.split import Split, split
from training.step import STATE_FILE


def enrol(given: argparse.Namespace) -> tuple[dict[str, Patient], Split]:
    """All patients by name, and who trains and validates, by the options of training.train.

    Those of --validate-on are called FOLDER/NAME, those of --data NAME, or FOLDER:NAME where two would be called alike.
    Raises `TrainingError` where patients or split cannot be used.
    """
    if given.validate_on and (given.train_site or given.test):
        raise TrainingError(
            "with --validate-on all of --data trains: leave out --train-site and --test, which divide --data, or leave "
            "out --validate-on"
        )
    for option in ("data", "validate_on"):
        for place in getattr(given, option):
            _check_place(place, "--" + option.replace("_", "-"))
    folders = _training(given.data)
    trained = tuple(folders)
    folders |= _validating(given.validate_on)
    if len(folders) < 2:
        where = " ".join(str(data) for data in given.data)
        raise TrainingError(f"{where} holds {len(folders)} patients (NAME/stack.npy and mask.npy); two are the least")
    patients = {name: open_patient(folder) for name, folder in folders.items()}
    chosen = _known(_chosen(given, patients, trained), patients)
    _check_split(chosen, folders, given.validate_on)
    return patients, chosen


def _check_place(place: Path, option: str) -> None:
    """Raise where there is no such folder, or a data set that is not on the model's grid yet."""
    if not place.is_dir():
        raise TrainingError(f"{option} {place}: there is no such folder")
    if not patient_folders(place) and any(place.rglob("*.nii*")):
        raise TrainingError(
            f"{option} {place} holds NIfTI, which is not on the model's grid yet: `python -m training.prepare --help`"
        )


def _training(places: Sequence[Path]) -> dict[str, Path]:
    """The patients of --data: NAME -> where it lies; FOLDER:NAME where two of the folders hold a NAME."""
    held = [(folder, data) for data in places for folder in patient_folders(data)]
    often = Counter(folder.name for folder, _ in held)
    named = [(names_of(folder, data)[often[folder.name] > 1], folder) for folder, data in held]
    found = dict(named)
    if len(found) < len(named):
        twice = next(name for name, count in Counter(name for name, _ in named).items() if count > 1)
        raise TrainingError(f"--data holds {twice} twice: give two folders of different names, each once")
    return found


def _validating(places: Sequence[Path]) -> dict[str, Path]:
    """The patients of --validate-on: FOLDER/NAME -> where it lies."""
    found = {place: patient_folders(place) for place in places}
    for place, folders in found.items():
        if not folders:
            raise TrainingError(f"--validate-on {place} holds no patient (NAME/stack.npy and mask.npy)")
    if len({place.name for place in places}) != len(places):
        raise TrainingError("two folders of --validate-on have the same name: rename one")
    return {f"{place.name}/{folder.name}": folder for place, folders in found.items() for folder in folders}


def _chosen(given: argparse.Namespace, patients: Mapping[str, Patient], trained: tuple[str, ...]) -> Split:
    """The saved split of a run that goes on, else that of --split, --validate-on, or a drawn one."""
    asked = _saved_split(given.split) if given.split else None
    saved = given.out / "split.json"
    if (given.out / STATE_FILE).exists() and saved.exists():
        if asked not in (None, _saved_split(saved)):
            raise TrainingError(f"{given.split} is not the split of {given.out}: leave it out, or give another --out")
        return _saved_split(saved)
    if asked:
        return asked
    if given.validate_on:
        return Split(train=trained, validation=tuple(name for name in patients if name not in trained), test=())
    return split(
        {name: patient.site for name, patient in patients.items()},
        subjects={name: patient.subject for name, patient in patients.items()},
        validation=given.validation,
        test=given.test,
        train_site=given.train_site,
    )


def _check_split(chosen: Split, folders: Mapping[str, Path], validate_on: Sequence[Path]) -> None:
    """Raise where one who trains stands among the others too, by another name or a link, or --validate-on is idle."""
    trained = {(folders[name] / "stack.npy").resolve() for name in chosen.train}
    for name in (*chosen.validation, *chosen.test):
        if name in folders and (folders[name] / "stack.npy").resolve() in trained:
            raise TrainingError(
                f"{folders[name]} trains, and cannot validate or test: give other patients, or leave --validate-on out "
                "(then a share of --data validates)"
            )
    for place in validate_on:
        if not any(name.startswith(f"{place.name}/") for name in (*chosen.train, *chosen.validation, *chosen.test)):
            raise TrainingError(f"--validate-on {place}: none of it stands in the split; leave it out, or change --out")


def _saved_split(path: Path) -> Split:
    text = read_text(path)
    try:
        raw = json.loads(text)
        return Split(**{name: tuple(raw[name]) for name in ("train", "validation", "test")})
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is no split (JSON with the lists train, validation and test)") from error


def saved_origin(out: Path) -> str:
    """The weights that a run began with, as its split.json says; empty where they were random."""
    saved = out / "split.json"
    return str(json.loads(read_text(saved)).get("start_from", "")) if saved.exists() else ""


def _known(chosen: Split, patients: dict[str, Patient]) -> Split:
    missing = [name for name in (*chosen.train, *chosen.validation) if name not in patients]
    if missing:
        raise TrainingError(
            f"the split names patients that stand in no folder given: {', '.join(missing[:5])} (--data, --validate-on)"
        )
    return chosen
