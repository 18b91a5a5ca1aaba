"""README.md beside the weights: the model card as people read it, written from card.json so that no number is typed.

Called by training/export. Knows only the card.
"""

from collections.abc import Mapping

from model.card import Card
from model.subsets import all_subsets, subset_name

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
DIFFERENT_PATIENTS = (
    "Rows of different numbers of patients are not to be compared: each is over those who have all of its sequences."
)
LIMITS = (
    "Trained on synthetic patients unless the sources above say otherwise; what it does on real metastases is unknown.",
    "Expects brain MRI of adults on the model's grid (axial, 0.9375 mm, 1 mm apart), which the worker makes.",
    "Vessels and dura that enhance are taken for lesions at times; lesions below 3 mm are missed more often.",
    "Means over the patients of the test; the smallest groups are small, and differences of .01 say nothing.",
)


def model_card(card: Card) -> str:
    """The card as Markdown."""
    parts = [
        f"# {card.name} {card.version}",
        f"**{card.statement}**",
        f"Network `{card.architecture}`, sequences {', '.join(card.sequences)}; subsets drawn in training: "
        f"{card.subset_law}. SHA-256 of weights.safetensors: `{card.weights_sha256}`.{MIRRORED * card.mirror}",
        "## Data",
        *(f"- {sentence}" for sentence in card.data or ("not stated",)),
        "## Expected performance",
        f"Thresholds: {card.threshold_rule}. Metrics are those of the paper, measured on the test patients; a subset "
        "without numbers was not measured.",
        _table(card),
        *((DIFFERENT_PATIENTS,) if _different_patients(card) else ()),
        "## Limits",
        *(f"- {sentence}" for sentence in LIMITS),
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
