"""Every number that the paper leaves open, in one place; saved as configuration.json beside the weights.

Read by training/train and its parts. Public reimplementations of the paper use Adam 3e-4 to 5e-4, lesion slices 10:1,
focal Tversky plus weighted cross-entropy. Where this differs it was chosen for two cores, and not searched for.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from model.channels import SEQUENCES, SIZE_PX
from model.edge import EdgeRule
from model.input_dropout import KEEP_PROBABILITY, SubsetLaw
from model.network import ARCHITECTURES
from model.normalise import Normalisation
from model.subsets import all_subsets
from training.errors import TrainingError


class TverskyOver(StrEnum):
    """What one Tversky index is taken over (training/losses)."""

    BATCH = "batch"
    CROP = "crop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """Ranges of random changes. Intensities are in medians of the deep brain (model/normalise)."""

    flip: float = 0.5
    """Probability of a left-right mirror image."""
    rotation_deg: float = 20.0
    scale: tuple[float, float] = (0.8, 1.25)
    anisotropy: float = 0.1
    """Of the scale along x against y."""
    misregistration_px: float = 0.8
    """Standard deviation of the shift of each sequence against the others."""
    gain: tuple[float, float] = (0.85, 1.18)
    gamma: tuple[float, float] = (0.75, 1.3)
    contrast: tuple[float, float] = (0.75, 1.3)
    """About the median."""
    bias: float = 0.12
    """Standard deviation of the logarithm of a smooth field."""
    blur: float = 0.3
    """Probability, each sequence, of in-plane smoothing."""
    coarse: float = 0.12
    """Probability, each sequence, of being sampled at 1.3 to 2.5 times the pixel size."""
    thick: float = 0.15
    """Probability, each sequence, of thick slices."""
    noise: float = 0.07
    """Largest standard deviation."""
    misfiled: float = 0.1
    """Probability that post-Gd gradient echo and spin echo stand in each other's slot, where both are there."""
    strip: float = 0.4
    """Probability that only the brain is left, where the case holds a brain mask."""
    strip_margin_px: int = 4
    """How far, at most, what is left then reaches beyond the brain along rows and columns of a slice: fluid, vessels,
    dura, as stripping tools leave them. 0: the brain itself, to the voxel."""
    mask_air: float = 0.3
    """Probability that air is set to zero."""

    def __post_init__(self) -> None:
        """Raises `TrainingError` naming a value that is no number from 0, or no pair of them in order."""
        _check(self, {part.name: _of_kind(part.default) for part in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """One training run."""

    architecture: str = "quartet_light"
    sequences: tuple[str, ...] = SEQUENCES
    subset_law: SubsetLaw = SubsetLaw.UNIFORM
    keep_probability: tuple[float, ...] = KEEP_PROBABILITY
    """Of BRAVO, PRE_CUBE, POST_CUBE and FLAIR under the law `bernoulli`; the other laws do not read it."""
    late_keep_probability: tuple[float, ...] = ()
    """The same for the second half of the steps, where it is given: all subsets first, then those that arrive most."""
    seed: int = 20211
    steps: int = 20_000
    steps_per_epoch: int = 500
    patience: int = 12
    """Epochs without a better validation score after which training ends."""
    batch: int = 24
    crop_px: int = 144
    full_share: float = 0.1
    """Share of the steps that see whole slices, of the same number of pixels."""
    lesion_share: float = 0.6
    """Share of the crops about a lesion; each lesion is as likely as another, whatever its size."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 300
    gradient_norm: float = 5.0
    average: float = 0.999
    """Decay of the running mean of the weights, which is what is validated and exported."""
    positive_weight: float = 1.0
    """Of lesion voxels in the cross-entropy; above 1 probabilities crowd near 1 and so do the best thresholds."""
    tversky_alpha: float = 0.5
    """Weight of missed voxels; 1 - alpha of false ones."""
    tversky_gamma: float = 1.0
    """Exponent of the Tversky loss; the Oslo reimplementation of ILD has 4/3."""
    tversky_over: TverskyOver = TverskyOver.BATCH
    cross_entropy: float = 1.0
    """Weight of the cross-entropy against the Tversky loss."""
    mixed_precision: bool = True
    """float16 on CUDA; bfloat16 on a CPU that has units for it (without them it is 100 times slower)."""
    validation_subsets: tuple[tuple[bool, ...], ...] = (
        (True, True, True, True),
        (False, True, True, True),
        (True, False, False, False),
    )
    edge_rule: EdgeRule = EdgeRule.ZEROS
    normalisation: Normalisation = field(default_factory=Normalisation)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Raises `TrainingError` naming a value that cannot be trained with."""
        _check(self, RULES)


Rule = tuple[str, Callable[[Any], bool]]
"""What a value has to be, in words and as a test."""


def _whole(least: int) -> Rule:
    return f"a whole number from {least}", lambda value: type(value) is int and least <= value < 2**63


def _number(most: float = math.inf) -> Rule:
    words = f"a number from 0 to {most:g}" if math.isfinite(most) else "a number from 0"
    return words, lambda value: type(value) in (int, float) and 0 <= value <= most and value < math.inf


def _pair() -> Rule:
    number = _number()[1]
    return (
        "two numbers above 0, the smaller first",
        lambda pair: len(pair) == 2 and all(number(value) for value in pair) and 0 < pair[0] <= pair[1],
    )


def _of_kind(default: object) -> Rule:
    return _pair() if isinstance(default, tuple) else _whole(0) if isinstance(default, int) else _number()


def _kept(probabilities: tuple[Any, ...]) -> bool:
    number = _number(1.0)[1]
    return len(probabilities) == len(SEQUENCES) and all(number(value) and value > 0 for value in probabilities)


KEPT = "four numbers above 0 and up to 1"
RULES: Mapping[str, Rule] = {
    "architecture": (f"one of {', '.join(ARCHITECTURES)}", lambda name: name in ARCHITECTURES),
    "sequences": (
        f"some of {', '.join(SEQUENCES)}, each once",
        lambda names: 0 < len(names) == len(set(names) & set(SEQUENCES)),
    ),
    "keep_probability": (KEPT, _kept),
    "late_keep_probability": (KEPT, lambda probabilities: not probabilities or _kept(probabilities)),
    "seed": _whole(0),
    "steps": _whole(1),
    "steps_per_epoch": _whole(1),
    "patience": _whole(1),
    "batch": _whole(1),
    "crop_px": (
        f"a multiple of 8 up to {SIZE_PX}",
        lambda value: type(value) is int and value in range(8, SIZE_PX + 1, 8),
    ),
    "full_share": _number(1.0),
    "lesion_share": _number(1.0),
    "learning_rate": _number(),
    "weight_decay": _number(),
    "warmup_steps": _whole(0),
    "gradient_norm": _number(),
    "average": _number(1.0),
    "positive_weight": _number(),
    "tversky_alpha": _number(1.0),
    "tversky_gamma": _number(),
    "cross_entropy": _number(),
    "mixed_precision": ("true or false", lambda value: type(value) is bool),
    "validation_subsets": (
        "at least one list of four flags, not all false",
        lambda subsets: 0 < len(set(subsets) & set(all_subsets())) == len(subsets),
    ),
}


def _check(values: object, rules: Mapping[str, Rule]) -> None:
    for name, (wanted, holds) in rules.items():
        value = getattr(values, name)
        if not holds(value):
            raise TrainingError(f"{name}: expected {wanted}; it is {value!r}")


def comparator() -> dict[str, Any]:
    """What makes a configuration the paper's comparator: three sequences of site B, no dropout."""
    return {
        "sequences": ("PRE_CUBE", "POST_CUBE", "FLAIR"),
        "subset_law": SubsetLaw.NONE,
        "validation_subsets": ((False, True, True, True),),
    }


def to_json(configuration: Configuration) -> str:
    """The configuration as it stands in configuration.json: equal ones give equal text."""
    return json.dumps(asdict(configuration), indent=1, sort_keys=True) + "\n"


def from_json(text: str) -> Configuration:
    """Read configuration.json; what it lacks is the default. Raises `TrainingError` naming what is unknown or wrong."""
    try:
        raw = json.loads(text)
        unknown = sorted(set(raw) - {f.name for f in fields(Configuration)})
        if unknown:
            raise TrainingError(f"unknown in the configuration: {', '.join(unknown)}")
        return _configuration(raw)
    except TrainingError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        raise TrainingError(f"the configuration cannot be read: {error}") from error


def read(path: Path) -> Configuration:
    """Read a configuration's file. Raises `TrainingError` that names it."""
    text = read_text(path)
    try:
        return from_json(text)
    except TrainingError as error:
        raise TrainingError(f"{path}: {error}") from error


def read_text(path: Path) -> str:
    """The text of a file of settings. Raises `TrainingError` that names it."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from error


def _configuration(raw: dict[str, Any]) -> Configuration:
    augmentation: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in raw.pop("augmentation", {}).items()
    }
    raw["augmentation"] = Augmentation(**augmentation)
    raw["normalisation"] = Normalisation(**raw.pop("normalisation", {}))
    raw["edge_rule"] = EdgeRule(raw.get("edge_rule", EdgeRule.ZEROS))
    raw["subset_law"] = SubsetLaw(raw.get("subset_law", SubsetLaw.UNIFORM))
    raw["tversky_over"] = TverskyOver(raw.get("tversky_over", TverskyOver.BATCH))
    for name in ("sequences", "keep_probability", "late_keep_probability", "validation_subsets"):
        if name in raw:
            raw[name] = tuple(tuple(v) if isinstance(v, list) else v for v in raw[name])
    return Configuration(**raw)
