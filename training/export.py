"""`python -m training.export`: from a training run to weights that the node serves, with thresholds and a model card.

Thresholds of the 15 subsets are calibrated on validation patients, expected metrics are measured on test patients; both
by training/evaluate on the served path itself. Of a folder that trained only those patients are taken whom the run's
split kept for it. Weights that saw no patients with BRAVO in validation keep the nearest subset's threshold, and say
so. README.md, the card as people read it, stands beside them; without --data-source it tells the data by the run's
split, with the names of the folders.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from model.card import Card
from model.checkpoint import CARD_FILE, CheckpointError, load, save
from model.subsets import all_subsets, subset_name
from training import out_folder
from training.cases.case import CaseError
from training.errors import TrainingError
from training.evaluate import RULES, SubsetResult, curves, evaluate, readable_subsets, write_report
from training.held_out import counted, open_held_out, who_trained
from training.model_card import model_card
from training.prepare import Patient, Source
from training.scores import HIGHEST_AMONG_EQUALS, pooled_thresholds
from worker.errors import WorkerError
from worker.inference.mirrored_objects import LEAST_THRESHOLD
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
THRESHOLDS, MEASURED = "Thresholds:", "Expected metrics:"
"""How sentences of the card begin that each export writes anew."""
MAX_BYTES = 30_000_000
"""Of served weights in the repository."""
EXAMPLE = """example
  python -m training.export runs/ild --validation patients --test patients --out weights --version 1.0.0
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
    except OSError as error:
        print(f"training.export: {out_folder.unusable(error, given.out)}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(given: argparse.Namespace) -> None:
    """Calibrate, measure and write the folder."""
    report = given.report or given.out / "evaluation"
    source = _source(given.run)
    _check_out(given.out, source)
    out_folder.make(given.out)
    if given.test:
        out_folder.make(report, "--report")
    validation = [open_held_out(folder, source.parent, "validation") for folder in given.validation]
    test = [open_held_out(folder, source.parent, "test") for folder in given.test]
    checkpoint = load(source)
    served = checkpoint.card
    asked = {name: getattr(given, name) for name in ("mirror", "mirror_objects", "half_scale", "crop_to_head")}
    served = replace(served, **{name: value for name, value in asked.items() if value is not None})
    predictor = Predictor.of(checkpoint.network, served)
    sentences = who_trained(source.parent) or checkpoint.card.data
    data = tuple(given.data_source) or _data(sentences, given, validation, test)
    card = replace(
        predictor.card, version=given.version, name=given.name or predictor.card.name, data=data, expected={}
    )
    subsets = readable_subsets(predictor)
    rocs = curves(predictor, _patients(given.validation, validation, "calibrate"), subsets)
    if not rocs:
        raise TrainingError("no validation patient has a lesion: thresholds cannot be calibrated")
    pooled = given.rule == POOLED
    least = LEAST_THRESHOLD if _asks_about_objects(predictor.card) else 0.0
    found = (
        pooled_thresholds(rocs, least=least) if pooled else {name: RULES[given.rule](one) for name, one in rocs.items()}
    )
    count = sum(len(one.names) for one in validation)
    _check_mirrored(predictor.card, found)
    card = with_thresholds(card, found, f"{given.rule} on {count} validation patients{_limits(least) * pooled}")
    predictor.card = card
    if given.test:
        results = evaluate(predictor, _patients(given.test, test, "measure"), subsets)
        write_report(report, f"{card.name} {card.version}", results)
        card = with_expected(card, results)
    signed = save(given.out, checkpoint.network, card)
    out_folder.write_text(given.out / "README.md", model_card(signed))
    size = sum(path.stat().st_size for path in given.out.glob("*") if path.is_file())
    if size > MAX_BYTES:
        print(f"training.export: {size / 1e6:.0f} MB is too much for the repository (30 MB)", file=sys.stderr)  # noqa: T201
    print(f"{given.out}: {signed.name} {signed.version}, SHA-256 {signed.weights_sha256[:12]}")  # noqa: T201


def _source(run: Path) -> Path:
    """The folder of weights that is meant. Raises `TrainingError` where there is none."""
    if not run.is_dir():
        raise TrainingError(f"{run}: there is no such folder; give --out of training.train, or a folder of weights")
    found = next((folder for folder in (run / "weights", run) if (folder / CARD_FILE).exists()), None)
    if found is None:
        if (run / "configuration.json").exists():
            raise TrainingError(f"{run} holds no weights yet: training.train writes them after its first epoch")
        raise TrainingError(f"{run} holds no weights: give --out of training.train, or a folder of weights")
    return found


def _check_out(out: Path, source: Path) -> None:
    """Raise where the folder to write is that of the run, or the one that its weights are read from."""
    run = source.parent if (source.parent / "configuration.json").exists() else source
    if out.resolve() in (source.resolve(), run.resolve()):
        raise TrainingError(f"--out {out} would overwrite what it is made of ({source}): give another folder")


def _check_mirrored(card: Card, found: Mapping[str, float]) -> None:
    """Raise where a threshold is too low for asking again only about what was called."""
    low = min(found, key=lambda name: found[name])
    if _asks_about_objects(card) and found[low] < LEAST_THRESHOLD:
        raise TrainingError(
            f"--mirror-objects is for thresholds from {LEAST_THRESHOLD:g} on, and {low} has {found[low]:.3f}: export "
            f"by --rule {POOLED}, with --mirror or with --no-mirror-objects"
        )


def _asks_about_objects(card: Card) -> bool:
    """Whether the mirror image counts about what is called only: with `mirror` all counts."""
    return card.mirror_objects and not card.mirror


def _data(
    trained: Sequence[str], given: argparse.Namespace, validation: Sequence[Source], test: Sequence[Source]
) -> tuple[str, ...]:
    """What the card says of the data where nobody says more; `trained` may be the sentences of an earlier export."""
    still = [sentence for sentence in trained if not sentence.startswith((THRESHOLDS, MEASURED))]
    thresholds = counted(sum(len(one.names) for one in validation), given.validation)
    measured = counted(sum(len(one.names) for one in test), given.test) if test else "not measured"
    return (*(still or ["Training: not stated."]), f"{THRESHOLDS} {thresholds}.", f"{MEASURED} {measured}.")


def _limits(least: float) -> str:
    """What the rule `pooled` holds thresholds between: many of them stand just at the higher."""
    floor = f", none below {_plain(least)}" if least else ""
    return f", none above {_plain(HIGHEST_AMONG_EQUALS)}{floor}"


def _plain(probability: float) -> str:
    return f"{probability:g}".lstrip("0")


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


def _patients(folders: Sequence[Path], sources: Sequence[Source], what: str) -> Iterable[Patient]:
    """All patients, called FOLDER/NAME: two folders may hold one name."""
    for folder, source in zip(folders, sources, strict=True):
        for patient in track(source, description=f"{what} {folder.name}", total=len(source.names)):
            yield replace(patient, name=f"{folder.name}/{patient.name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.export",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="--out of training.train, or a folder of weights")
    parser.add_argument("--validation", type=Path, nargs="+", required=True, help="patients that set the thresholds")
    parser.add_argument("--test", type=Path, nargs="+", default=[], help="patients that expected metrics come from")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--report", type=Path, default=None, help="folder of the measurements (default: OUT/evaluation)"
    )
    rules = [POOLED, *sorted(RULES)]
    parser.add_argument("--rule", choices=rules, default=POOLED, help=f"of the thresholds (default {POOLED})")
    parser.add_argument("--name", default="", help="name of the model (default: that of the run)")
    parser.add_argument("--version", required=True)
    looks = {
        "--mirror": "serve the mean with the mirror image: twice the time",
        "--mirror-objects": "serve the mean with the mirror image about what is called: hardly longer",
        "--half-scale": "complete large lesions by a second look at half the resolution",
        "--crop-to-head": "look at the box about the head in each slice only: in three quarters of the time",
    }
    for name, said in looks.items():
        parser.add_argument(name, action=argparse.BooleanOptionalAction, help=f"{said} (default: as RUN has it)")
    parser.add_argument(
        "--data-source", action="append", default=[], help="a sentence for the card; repeat (default: by split.json)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
