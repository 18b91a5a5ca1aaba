"""Who trains, who validates, who is kept for the test: by person, by site, once and for all by a seed.

The paper trains on one site and validates and tests on another. `split` does that where two sites are there, and draws
shares where there is one. Called by training/train; the split is saved beside the weights. Knows names only.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from training.errors import TrainingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Names of patients; no name stands twice."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        names = [*self.train, *self.validation, *self.test]
        if len(names) != len(set(names)):
            raise TrainingError("a patient stands twice in the split")


def split(
    sites: Mapping[str, str],
    *,
    subjects: Mapping[str, str] | None = None,
    validation: float = 0.1,
    test: float = 0.0,
    train_site: str = "",
    seed: int = 0,
) -> Split:
    """Divide patients (name -> site); `subjects` (name -> person) where one person has several.

    Persons are divided, so that no one stands in two parts; a name that `subjects` lacks is a person of its own. With
    `train_site` those seen there train, and the others validate and test in the proportion of the two numbers (all
    validate where both are 0); without it the numbers are the shares of all persons that validate and test. At least
    one trains and one validates. Raises `TrainingError` where that cannot be.
    """
    if min(validation, test) < 0 or not (train_site or validation + test < 1):
        raise TrainingError(
            f"--validation {validation:g} and --test {test:g} are no shares of the persons: neither is negative, and "
            "together they leave some to train (less than 1)"
        )
    exams: dict[str, list[str]] = {}
    for name in sorted(sites):
        exams.setdefault((subjects or {}).get(name, name), []).append(name)
    persons = sorted(exams)
    random.Random(seed).shuffle(persons)
    if train_site:
        trained = [person for person in persons if any(sites[name] == train_site for name in exams[person])]
        others = [person for person in persons if person not in set(trained)]
        both = validation + test
        first = max(1, round(len(others) * validation / both)) if both else len(others)
        parts = trained, others[:first], others[first:]
    else:
        first = max(1, round(len(persons) * validation))
        second = min(round(len(persons) * test), max(0, len(persons) - first - 1))
        parts = persons[first + second :], persons[:first], persons[first : first + second]
    train, validated, tested = (tuple(name for person in part for name in exams[person]) for part in parts)
    if not train or not validated:
        known = ", ".join(sorted(set(sites.values())))
        at = f" with --train-site {train_site} (sites here: {known})" if train_site else ""
        count = f"{len(sites)} patients of {len(persons)} persons"
        raise TrainingError(f"{count} do not make a training and a validation set{at}; two persons are the least")
    return Split(train=train, validation=validated, test=tested)
