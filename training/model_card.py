"""README.md beside the weights: the model card as people read it, written from card.json so that no number is typed.

Called by training/export. Knows only the card.
"""

from collections.abc import Mapping

from model.card import Card
from model.subsets import all_subsets, subset_name
from worker.inference.half_scale import LARGE_ML

COLUMNS = (
    ("dice", "Dice", "{:.3f}"),
    ("auc", "AUC", "{:.3f}"),
    ("recall", "recall", "{:.3f}"),
    ("precision", "precision", "{:.3f}"),
    ("lesions_found", "lesions found", "{:.0%}"),
    ("fp_per_patient", "FP a patient", "{:.1f}"),
    ("fp_10mm3_per_patient", "FP from 10 mm3", "{:.1f}"),
    ("patients", "patients", "{:.0f}"),
)
"""Of the table: name in the card, heading, form."""
MIRRORED = " It answers with the mean over the stack and its left-right mirror image."
MIRRORED_OBJECTS = " About what it gives .5 and more, the mean with the answer to the mirror image counts."
HALF_SCALE = f" It looks at half the resolution too, which completes objects from {LARGE_ML:.1f} ml."
CROPPED = " It looks at the box about the head in each slice only."
DIFFERENT_PATIENTS = (
    "Rows of different numbers of patients are not to be compared: each is over those who have all of its sequences."
)
FOUND_NEXT_TO_NOTHING = 0.2
"""Share of the lesions found below which a subset is named as one that shows next to nothing."""
LIMITS = (
    "What it does on patients of other sources than those above is unknown.",
    "Expects brain MRI of adults on the model's grid (axial, 0.9375 mm, 1 mm apart), which the worker makes.",
)
"""What is known of any weights."""
NOT_MEASURED = "Nothing was measured on test patients: what it is worth is unknown."
FEW = 100
"""Patients below which the card says that they are few."""


def model_card(card: Card) -> str:
    """The card as Markdown."""
    parts = [
        f"# {card.name} {card.version}",
        f"**{card.statement}**",
        f"Network `{card.architecture}`, sequences {', '.join(card.sequences)}; subsets drawn in training: "
        f"{card.subset_law}. SHA-256 of weights.safetensors: `{card.weights_sha256}`.{MIRRORED * card.mirror}"
        f"{MIRRORED_OBJECTS * (card.mirror_objects and not card.mirror)}{HALF_SCALE * card.half_scale}"
        f"{CROPPED * card.crop_to_head}",
        "## Data",
        *(f"- {sentence}" for sentence in card.data or ("not stated",)),
        "## Expected performance",
        f"Thresholds: {card.threshold_rule}. Metrics are those of the paper, measured on the test patients; a subset "
        "without numbers was not measured.",
        _table(card),
        *((DIFFERENT_PATIENTS,) if _different_patients(card) else ()),
        *_next_to_nothing(card),
        "## Limits",
        *(f"- {sentence}" for sentence in (*LIMITS, *_on_few(card))),
        "Written by `python -m training.export` from card.json; the settings of its last training run stand there.",
    ]
    return _joined(parts)


def _table(card: Card) -> str:
    lines = ["| Sequences | threshold | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |"]
    lines.append("|" + " --- |" * (2 + len(COLUMNS)))
    for flags in all_subsets():
        name = subset_name(flags)
        cells = [_cell(card.expected.get(name, {}), key, form) for key, _, form in COLUMNS]
        lines.append(f"| {name} | {card.thresholds[name]:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _next_to_nothing(card: Card) -> list[str]:
    """A sentence that names the subsets with which hardly a lesion was found."""
    measured = [(name, card.expected.get(name, {})) for name in map(subset_name, all_subsets())]
    blind = [name for name, metrics in measured if metrics.get("lesions_found", 1.0) < FOUND_NEXT_TO_NOTHING]
    if not blind:
        return []
    return [
        f"Next to nothing is found (less than {FOUND_NEXT_TO_NOTHING:.0%} of the lesions) with: {', '.join(blind)}."
    ]


def _on_few(card: Card) -> list[str]:
    """How far the numbers carry."""
    counts = [metrics["patients"] for metrics in card.expected.values() if "patients" in metrics]
    if not card.expected:
        return [NOT_MEASURED]
    if not counts or min(counts) >= FEW:
        return []
    return [f"Metrics are means over {min(counts):.0f} patients where they are fewest: differences of .01 say nothing."]


def _different_patients(card: Card) -> bool:
    return len({metrics.get("patients") for metrics in card.expected.values()}) > 1


def _cell(metrics: Mapping[str, float], key: str, form: str) -> str:
    return form.format(metrics[key]) if key in metrics else "-"


def _joined(parts: list[str]) -> str:
    """Paragraphs apart, items of a list together."""
    text = ""
    for before, part in zip(["", *parts], parts, strict=False):
        text += ("\n" if before.startswith("- ") and part.startswith("- ") else "\n\n" if text else "") + part
    return text + "\n"
