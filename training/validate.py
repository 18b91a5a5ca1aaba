"""How good a network in training is on validation patients: mean Dice by subset, at the best threshold of each.

The served path itself judges (worker/inference/predict on every second slice would save time and hide faults: whole
volumes are run). Called by training/train; the full evaluation is training/evaluate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import nn

from model.card import Card
from model.checkpoint import save
from model.subsets import all_subsets, subset_name
from training.configuration import Configuration
from training.errors import TrainingError
from training.patients import Patient
from training.scores import Float32, Mask, roc
from worker.inference.predict import Predictor

UNCALIBRATED = "not calibrated: .5 for each subset"


def validate(network: nn.Module, patients: Sequence[Patient], configuration: Configuration) -> dict[str, float]:
    """Mean over patients of Dice, at the threshold where it is best, by name of each validation subset."""
    predictor = Predictor.of(network, card_of(configuration, 0, {}))
    scores = {}
    for present in configuration.validation_subsets:
        curves = [
            dice_curve(predictor, patient, present)
            for patient in patients
            if patient.lesions and all(has or not wants for wants, has in zip(present, patient.available, strict=True))
        ]
        if curves:
            scores[subset_name(present)] = float(np.mean(curves, axis=0).max())
    if not scores:
        raise TrainingError("no validation patient has a lesion and the sequences of a validation subset")
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
