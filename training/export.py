"""`python -m training.export`: from a training run to weights that the node serves, with thresholds and a model card.

Thresholds of the 15 subsets are calibrated on validation patients, expected metrics are measured on test patients; both
by training/evaluate on the served path itself. Weights that saw no patients with BRAVO in validation keep the nearest
subset's threshold, and say so. README.md, the card as people read it, stands beside them.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from model.card import Card
from model.checkpoint import CheckpointError, load, save
from model.subsets import all_subsets, subset_name
from training.cases.case import CaseError
from training.errors import TrainingError
from training.evaluate import RULES, SubsetResult, curves, evaluate, write_report
from training.model_card import model_card
from training.prepare import Patient, open_source
from training.scores import pooled_thresholds
from worker.errors import WorkerError
from worker.inference.predict import Predictor

KEPT_METRICS = {
    "dice": "dice",
    "auc": "auc",
    "recall": "recall",
    "precision": "precision",
    "fp": "fp_per_patient",
    "fp_10mm3": "fp_10mm3_per_patient",
}
"""Names in training/scores -> names in the card."""
POOLED = "pooled"
"""The rule of `training.scores.pooled_thresholds`; the others take each subset by itself."""
MAX_BYTES = 30_000_000
"""Of served weights in the repository."""
EXAMPLE = """example
  python -m training.export runs/ild --validation val --test test --out weights --version 1.0.0 --data-source "..."
Then set worker.weights = "weights" in quartet.toml.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where weights or patients cannot be used."""
    given = _parser().parse_args(arguments)
    try:
        run(given)
    except (CheckpointError, CaseError, WorkerError, TrainingError) as error:
        print(f"training.export: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(given: argparse.Namespace) -> None:
    """Calibrate, measure and write the folder."""
    source = given.run / "weights" if (given.run / "weights").exists() else given.run
    checkpoint = load(source)
    predictor = Predictor(source)
    if given.mirror:
        predictor.card = replace(predictor.card, mirror=True)
    card = replace(predictor.card, version=given.version, data=tuple(given.data_source) or checkpoint.card.data)
    card = replace(card, name=given.name or card.name)
    rocs = curves(predictor, _patients(given.validation, "calibrate"), all_subsets())
    pooled = given.rule == POOLED
    found = pooled_thresholds(rocs) if pooled else {name: RULES[given.rule](one) for name, one in rocs.items()}
    card = with_thresholds(card, found, f"{given.rule} on {_count(given.validation)} validation patients")
    predictor.card = card
    if given.test:
        results = evaluate(predictor, _patients(given.test, "measure"), all_subsets())
        write_report(given.report or given.out / "evaluation", f"{card.name} {card.version}", results)
        card = with_expected(card, results)
    signed = save(given.out, checkpoint.network, card)
    (given.out / "README.md").write_text(model_card(signed), encoding="utf-8")
    size = sum(path.stat().st_size for path in given.out.glob("*") if path.is_file())
    if size > MAX_BYTES:
        print(f"training.export: {size / 1e6:.0f} MB is too much for the repository (30 MB)", file=sys.stderr)  # noqa: T201
    print(f"{given.out}: {signed.name} {signed.version}, SHA-256 {signed.weights_sha256[:12]}")  # noqa: T201


def with_thresholds(card: Card, found: Mapping[str, float], rule: str) -> Card:
    """The card with calibrated thresholds; a subset that no patient could calibrate takes the nearest one's."""
    thresholds = {}
    borrowed = []
    for flags in all_subsets():
        name = subset_name(flags)
        if name not in found:
            borrowed.append(name)
        thresholds[name] = found.get(name) or _nearest(flags, found)
    note = f"; borrowed from the nearest subset: {', '.join(borrowed)}" if borrowed else ""
    return replace(card, thresholds=thresholds, threshold_rule=rule + note)


def _nearest(flags: tuple[bool, ...], found: Mapping[str, float]) -> float:
    """The threshold of the calibrated subset with the fewest sequences more or less."""
    if not found:
        raise TrainingError("no validation patient has a lesion: thresholds cannot be calibrated")
    by_name = {subset_name(other): other for other in all_subsets()}
    nearest = min(found, key=lambda name: (sum(a != b for a, b in zip(by_name[name], flags, strict=True)), name))
    return found[nearest]


def with_expected(card: Card, results: Mapping[str, SubsetResult]) -> Card:
    """The card with the mean metrics of each measured subset, and the share of lesions found."""
    expected = {}
    for name, result in results.items():
        content = result.as_json()
        metrics = {kept: _mean(content, metric) for metric, kept in KEPT_METRICS.items()}
        metrics["lesions_found"] = _ratio(content["found"], content["lesions"])
        metrics["patients"] = float(len(result.scores))
        expected[name] = {key: round(value, 4) for key, value in metrics.items() if value is not None}
    return replace(card, expected=expected)


def _mean(content: dict[str, Any], metric: str) -> float | None:
    summary = content["summary"].get(metric, {})
    value = summary.get("mean")
    return None if value is None else float(value)


def _ratio(part: Any, whole: Any) -> float | None:
    return float(part) / float(whole) if whole else None


def _patients(folders: Sequence[Path], what: str) -> Iterable[Patient]:
    """All patients, called FOLDER/NAME: two folders may hold one name."""
    for folder in folders:
        source = open_source("cache", folder)
        for patient in track(source, description=f"{what} {folder.name}", total=len(source.names)):
            yield replace(patient, name=f"{folder.name}/{patient.name}")


def _count(folders: Sequence[Path]) -> int:
    return sum(len(open_source("cache", folder).names) for folder in folders)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.export",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="--out of training.train, or a folder of weights")
    parser.add_argument("--validation", type=Path, nargs="+", required=True, help="patients that set the thresholds")
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="patients that expected metrics come from")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--report", type=Path, default=None, help="folder of the measurements (default: OUT/evaluation)"
    )
    rules = [POOLED, *sorted(RULES)]
    parser.add_argument("--rule", choices=rules, default=POOLED, help=f"of the thresholds (default {POOLED})")
    parser.add_argument("--name", default="", help="name of the model (default: that of the run)")
    parser.add_argument("--version", required=True)
    parser.add_argument("--mirror", action="store_true", help="serve the mean with the mirror image: twice the time")
    parser.add_argument("--data-source", action="append", default=[], help="a sentence for the card; repeat")
    return parser


if __name__ == "__main__":
    sys.exit(main())
