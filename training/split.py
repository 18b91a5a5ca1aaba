"""Who trains, who validates, who is kept for the test: by patient, by site, once and for all by a seed.

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
    sites: Mapping[str, str], *, validation: float = 0.1, test: float = 0.0, train_site: str = "", seed: int = 0
) -> Split:
    """Divide patients (name -> site).

    With `train_site` its patients train and those of the other sites validate and test, in the proportion of the two
    numbers; without it the numbers are the shares of all patients that validate and test. At least one patient trains
    and one validates. Raises `TrainingError` where that cannot be.
    """
    names = sorted(sites)
    random.Random(seed).shuffle(names)
    trainable = [name for name in names if sites[name] == train_site] if train_site else names
    others = [name for name in names if name not in set(trainable)]
    if train_site:
        first = max(1, round(len(others) * validation / (validation + test)))
        chosen = Split(train=tuple(trainable), validation=tuple(others[:first]), test=tuple(others[first:]))
    else:
        first = max(1, round(len(names) * validation))
        second = min(round(len(names) * test), max(0, len(names) - first - 1))
        chosen = Split(
            train=tuple(names[first + second :]),
            validation=tuple(names[:first]),
            test=tuple(names[first : first + second]),
        )
    if not chosen.train or not chosen.validation:
        raise TrainingError(f"{len(names)} patients do not make a training and a validation set; two are the least")
    return chosen
