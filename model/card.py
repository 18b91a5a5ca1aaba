"""The model card: what a set of weights is, what it was earned on, and what it is worth for each subset of sequences.

Written by training/export as card.json beside the weights; read by model/checkpoint. Thresholds and expected metrics
are keyed by `model.subsets.subset_name`. Knows no tensors and no DICOM.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from model.channels import SEQUENCES
from model.edge import EdgeRule
from model.input_dropout import SubsetLaw
from model.normalise import Normalisation
from model.subsets import all_subsets, subset_name

CARD_FORM = 1
RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment."
NOT_CALIBRATED = "not calibrated"
"""How the rule of thresholds begins in weights straight from training (training/validate)."""
_SUBSETS = frozenset(subset_name(flags) for flags in all_subsets())


class CardError(ValueError):
    """A model card that does not have this form; the text names the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """All that is known of a set of weights."""

    form: int = CARD_FORM
    name: str
    version: str
    architecture: str
    """A name of `model.network.ARCHITECTURES`."""
    sequences: tuple[str, ...] = SEQUENCES
    """Which sequences the network reads, in the order of its channels: the comparator of the paper has three."""
    subset_law: SubsetLaw
    """The law of training; `SubsetLaw.NONE`: the input is not scaled where a sequence is absent."""
    edge_rule: EdgeRule = EdgeRule.ZEROS
    """What stands in for slices beyond the volume, in training and serving."""
    mirror: bool = False
    """Serve the mean probability of the stack and its left-right mirror image."""
    mirror_objects: bool = False
    """The mean with the mirror image, about what was called only (worker/inference/mirrored_objects)."""
    half_scale: bool = False
    """Complete large objects by a second look at half the resolution (worker/inference/half_scale)."""
    crop_to_head: bool = False
    """Look at the box about the head in each slice only (worker/inference/head_box)."""
    normalisation: Normalisation = field(default_factory=Normalisation)
    weights_sha256: str = ""
    """Of the safetensors file."""
    thresholds: Mapping[str, float]
    """By subset: the probability from which a voxel counts as lesion."""
    threshold_rule: str
    """How the thresholds were chosen, and on what."""
    expected: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By subset: metric name -> value, measured on patients that neither trained nor set a threshold."""
    data: tuple[str, ...] = ()
    """The sources of the training, validation and test data, a sentence each."""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """Every number of the training."""
    statement: str = RESEARCH_USE_ONLY

    def __post_init__(self) -> None:
        for name in ("name", "version", "architecture", "weights_sha256", "threshold_rule"):
            if not isinstance(getattr(self, name), str):
                raise CardError(f"{name}: a text is needed")
        for name in ("mirror", "mirror_objects", "half_scale", "crop_to_head"):
            if not isinstance(getattr(self, name), bool):
                raise CardError(f"{name}: true or false is needed")
        if not isinstance(self.configuration, Mapping):
            raise CardError("configuration: names and values are needed")
        if not self.sequences or len(set(self.sequences)) < len(self.sequences) or set(self.sequences) - set(SEQUENCES):
            raise CardError(f"sequences: some of {', '.join(SEQUENCES)}, each once")
        if self.statement != RESEARCH_USE_ONLY:
            raise CardError(f"statement: these weights are for no other use than {RESEARCH_USE_ONLY!r}")
        _check_thresholds(self.thresholds)
        _check_expected(self.expected)

    @property
    def calibrated(self) -> bool:
        """Whether the thresholds were chosen on patients."""
        return not self.threshold_rule.startswith(NOT_CALIBRATED)


def _check_thresholds(thresholds: object) -> None:
    if not isinstance(thresholds, Mapping) or set(thresholds) != _SUBSETS:
        raise CardError("thresholds: one for each of the 15 subsets is needed, by names like BRAVO+FLAIR")
    if not all(_is_number(value) and 0 < value < 1 for value in thresholds.values()):
        raise CardError("thresholds: each is a number between 0 and 1")


def _check_expected(expected: object) -> None:
    if not isinstance(expected, Mapping) or not set(expected) <= _SUBSETS:
        raise CardError("expected: keys are names of subsets like BRAVO+FLAIR")
    for subset, metrics in expected.items():
        if not isinstance(metrics, Mapping) or not all(_is_number(value) for value in metrics.values()):
            raise CardError(f"expected: {subset} has names of metrics, each with a finite number")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def to_json(card: Card) -> str:
    """The card as it stands in card.json: equal cards give equal text."""
    return json.dumps(asdict(card), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str | bytes) -> Card:
    """Read card.json. Raises `CardError` on another form, unknown or missing fields, or values out of range."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise CardError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise CardError("it is no card: its brackets are nested too deeply") from error
    if not isinstance(raw, dict) or raw.get("form") != CARD_FORM:
        raise CardError(f"its form is not {CARD_FORM}, the one of this release")
    unknown = sorted(set(raw) - {f.name for f in fields(Card)})
    if unknown:
        raise CardError(f"unknown field {', '.join(unknown)}")
    try:
        law, scale = SubsetLaw(raw.pop("subset_law")), Normalisation(**raw.pop("normalisation"))
        sequences, data = _texts(raw, "sequences"), _texts(raw, "data")
        edge = EdgeRule(raw.pop("edge_rule", EdgeRule.ZEROS))
        return Card(subset_law=law, normalisation=scale, sequences=sequences, edge_rule=edge, data=data, **raw)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise CardError(str(error)) from error


def _texts(raw: dict[str, Any], name: str) -> tuple[str, ...]:
    found = raw.pop(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise CardError(f"{name}: a list of texts is needed")
    return tuple(found)
