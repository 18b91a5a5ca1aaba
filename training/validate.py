"""How good a network in training is on validation patients: mean Dice by subset, at the best threshold of each.

The served path itself judges (worker/inference/predict on every second slice would save time and hide faults: whole
volumes are run). Called by training/train; the full evaluation is training/evaluate.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import nn

from model.card import Card
from model.channels import SEQUENCES
from model.checkpoint import save
from model.subsets import all_subsets, subset_name
from training.configuration import Configuration
from training.errors import TrainingError
from training.patients import Patient
from training.scores import Float32, Mask, roc
from worker.inference.predict import Predictor

UNCALIBRATED = "not calibrated: .5 for each subset"


def subsets_of(patients: Sequence[Patient], configuration: Configuration) -> tuple[tuple[bool, ...], ...]:
    """The subsets of the configuration that these patients and the network can validate.

    Where none fits, the one of the sequences that most patients with a lesion have. Raises `TrainingError` where no
    patient has a lesion and a sequence that the network reads.
    """
    read = [name in configuration.sequences for name in SEQUENCES]
    held = [patient.available for patient in patients if patient.lesions and _meet(patient.available, read)]
    if not held:
        raise TrainingError(
            f"no validation patient (of {len(patients)}) has a lesion and one of {', '.join(configuration.sequences)}: "
            "let others validate (--validation, --validate-on, --split)"
        )
    wanted = [present for present in configuration.validation_subsets if _meet(present, read)]
    fitting = tuple(present for present in wanted if any(_holds(available, present) for available in held))
    return fitting or (Counter(held).most_common(1)[0][0],)


def _meet(one: Sequence[bool], other: Sequence[bool]) -> bool:
    return any(a and b for a, b in zip(one, other, strict=True))


def _holds(available: Sequence[bool], present: Sequence[bool]) -> bool:
    return all(has or not wants for wants, has in zip(present, available, strict=True))


def validate(network: nn.Module, patients: Sequence[Patient], configuration: Configuration) -> dict[str, float]:
    """Mean over patients of Dice, at the threshold where it is best, by name of each validation subset.

    Raises `TrainingError` as `subsets_of` does, and `WorkerError` where a patient cannot be predicted.
    """
    predictor = Predictor.of(network, card_of(configuration, 0, {}))
    scores = {}
    for present in subsets_of(patients, configuration):
        chosen = [patient for patient in patients if patient.lesions and _holds(patient.available, present)]
        curves = [dice_curve(predictor, patient, present) for patient in chosen]
        scores[subset_name(present)] = float(np.mean(curves, axis=0).max())
    return scores


def dice_curve(predictor: Predictor, patient: Patient, present: tuple[bool, ...]) -> Float32:
    """Dice of one patient at 800 thresholds, a tenth of a logit apart."""
    stack = np.asarray(patient.stack, dtype=np.float32)
    truth: Mask = np.asarray(patient.mask > 0)
    measured: Mask = np.asarray(stack.any(axis=0))
    counts = roc(predictor.predict(stack, present), truth, measured)
    found = np.cumsum(counts.positives[::-1])[::-1][::25]
    false = np.cumsum(counts.negatives[::-1])[::-1][::25]
    dice: Float32 = (2 * found / (found + false + counts.positives.sum())).astype(np.float32)
    return dice


def card_of(configuration: Configuration, step: int, scores: Mapping[str, float]) -> Card:
    """The card of weights in training: no thresholds of their own yet."""
    return Card(
        name="quartet-ild" if configuration.subset_law != "none" else "quartet-comparator",
        version="0.0.0-training",
        architecture=configuration.architecture,
        sequences=configuration.sequences,
        subset_law=configuration.subset_law,
        edge_rule=configuration.edge_rule,
        normalisation=configuration.normalisation,
        thresholds={subset_name(flags): 0.5 for flags in all_subsets()},
        threshold_rule=UNCALIBRATED,
        configuration={**asdict(configuration), "step": step, "validation_dice": dict(scores)},
    )


def write_weights(
    folder: Path, network: nn.Module, configuration: Configuration, step: int, scores: Mapping[str, float]
) -> None:
    """Save a network of a run as a folder of weights."""
    save(folder, network, card_of(configuration, step, scores))
