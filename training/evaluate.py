"""`python -m training.evaluate`: the paper's evaluation of a set of weights on patients with truth.

Per patient and subset of sequences: voxel AUC, Dice, IoU, recall, precision, FPR, false-positive objects with
26-connectivity without limit and from 10 mm3 up, sensitivity by lesion size. Writes table.md (with a row for each
patient where they are few), evaluation.json and the paper's figures. Thresholds are the card's, or calibrated on other
patients (Youden index, as in the paper, Dice, or Dice within one standard error). Beside them stands what the weights
find at all thresholds, unless many subsets are asked for: the free-response curve (training/free_response).
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from dicom_node.contract.slots import SequenceSlot
from model.channels import SEQUENCES
from model.subsets import all_subsets, subset_name
from training import figures, free_response, out_folder
from training.cases.case import CaseError
from training.cases.challenge import LABELS_HELP, SlotChoice, label_list, unread_note
from training.cases.layouts import TABLE, mask_sought
from training.errors import TrainingError
from training.free_response import FreeResponse, OperatingPoint
from training.held_out import not_held_out
from training.prepare import KINDS, Patient, Source, open_source
from training.scores import Float32, PatientScores, Roc, dice_threshold, one_se_threshold, roc, score, youden_threshold
from training.statistics import paired_difference, sensitivity_by_size, summarise, table
from worker.errors import WorkerError
from worker.inference.predict import Predictor, default_weights

Present = tuple[bool, ...]
RULES: dict[str, Callable[[Sequence[Roc]], float]] = {
    "youden": youden_threshold,
    "dice": dice_threshold,
    "one-se": one_se_threshold,
}


@dataclass(slots=True)
class SubsetResult:
    """One subset of sequences over all patients that have it."""

    threshold: float
    names: list[str] = field(default_factory=list)
    scores: list[PatientScores] = field(default_factory=list)
    rocs: list[Roc] = field(default_factory=list)
    free: list[FreeResponse] | None = None
    """Of each patient, where it is a list to begin with: it takes seconds a patient."""

    def add(self, patient: Patient, probability: Float32) -> None:
        """Score one patient with a truth; `probability` lies on the truth's grid."""
        assert patient.truth is not None
        self.names.append(patient.name)
        self.rocs.append(roc(probability, patient.truth, patient.measured))
        self.scores.append(
            score(
                probability,
                patient.truth,
                patient.measured,
                threshold=self.threshold,
                voxel_volume_mm3=patient.truth_grid.voxel_volume_mm3,
            )
        )
        if self.free is not None:
            volume = patient.truth_grid.voxel_volume_mm3
            self.free.append(free_response.free_response(probability, patient.truth, patient.measured, volume))

    @property
    def points(self) -> list[OperatingPoint]:
        """The free-response curve; none where it was not asked for."""
        return free_response.curve(self.free or [])

    @property
    def dice(self) -> dict[str, float]:
        """By patient."""
        return {name: one.dice for name, one in zip(self.names, self.scores, strict=True)}

    def as_json(self) -> dict[str, object]:
        """Summary, sensitivity by size and each patient's scores as plain values; what is undefined is null."""
        return {
            "threshold": self.threshold,
            "patients": len(self.scores),
            "summary": {name: _plain(asdict(value)) for name, value in summarise(self.scores).items()},
            "lesions": sum(one.lesions for one in self.scores),
            "found": sum(one.found for one in self.scores),
            "by_size": {name: list(counts) for name, counts in sensitivity_by_size(self.scores).items()},
            **({"free_response": [_plain(asdict(point)) for point in self.points]} if self.free else {}),
            "each": [{"name": n, **_plain(asdict(s))} for n, s in zip(self.names, self.scores, strict=True)],
        }


def evaluate(
    predictor: Predictor,
    patients: Iterable[Patient],
    subsets: Sequence[Present] | None = None,
    threshold: Callable[[Present], float] | None = None,
) -> dict[str, SubsetResult]:
    """Score the weights; thresholds are the card's where none are given.

    `subsets` None: all that each patient has, and the free-response curve.
    """
    results: dict[str, SubsetResult] = {}
    for patient in patients:
        if patient.truth is None:
            continue
        for present in _subsets_of(patient, subsets):
            name = subset_name(present)
            if name not in results:
                chosen = threshold(present) if threshold is not None else predictor.identity(present).threshold
                results[name] = SubsetResult(threshold=chosen, free=[] if subsets is None else None)
            results[name].add(patient, answer(predictor, patient, present))
    return results


def answer(predictor: Predictor, patient: Patient, present: Present) -> Float32:
    """The probability on the truth's grid. Raises `CaseError` that names the patient whom the model refuses."""
    try:
        return patient.on_truth(predictor.predict(patient.stack, present))
    except WorkerError as error:
        raise CaseError(f"{patient.name}: {error}") from error


def readable_subsets(predictor: Predictor) -> list[Present]:
    """The subsets of which the network reads something: all 15 but for the comparator of the paper."""
    return [present for present in all_subsets() if predictor.reads(present)]


def _subsets_of(patient: Patient, subsets: Sequence[Present] | None) -> list[Present]:
    if subsets is None:
        return [patient.present]
    return [
        present
        for present in subsets
        if all(has or not wants for wants, has in zip(present, patient.present, strict=True))
    ]


def calibrate(
    predictor: Predictor, patients: Iterable[Patient], subsets: Sequence[Present], rule: str = "youden"
) -> dict[str, float]:
    """The threshold of each subset by a rule of `RULES`, from validation patients that have its sequences."""
    return {name: RULES[rule](found) for name, found in curves(predictor, patients, subsets).items()}


def curves(predictor: Predictor, patients: Iterable[Patient], subsets: Sequence[Present]) -> dict[str, list[Roc]]:
    """The ROC of each patient that has a lesion, by subset."""
    rocs: dict[str, list[Roc]] = {}
    for patient in patients:
        if patient.truth is None or not patient.truth.any():
            continue
        for present in _subsets_of(patient, subsets):
            probability = answer(predictor, patient, present)
            rocs.setdefault(subset_name(present), []).append(roc(probability, patient.truth, patient.measured))
    return rocs


def by_itself(predictor: Predictor, patients: Source, present: Present, rule: str) -> SubsetResult:
    """One subset at the threshold that suits these very patients; all have its sequences. Each is predicted once."""
    answers = [answer(predictor, patient, present) for patient in patients]
    answered = zip(patients, answers, strict=True)
    rocs = [roc(one, p.truth, p.measured) for p, one in answered if p.truth is not None and p.truth.any()]
    result = SubsetResult(threshold=RULES[rule](rocs))
    for patient, one in zip(patients, answers, strict=True):
        result.add(patient, one)
    return result


def write_report(out: Path, title: str, results: dict[str, SubsetResult], warning: str = "") -> None:
    """table.md, with a warning below its title, and evaluation.json of all subsets. Raises `OSError` with the file."""
    out.mkdir(parents=True, exist_ok=True)
    sizes = next(iter(results.values())).as_json()["by_size"] if results else {}
    lines = [
        f"# {title}",
        "",
        *((f"**{warning}**", "") if warning else ()),
        table({name: result.scores for name, result in results.items()}),
    ]
    assert isinstance(sizes, dict)
    whole = results.get(subset_name((True,) * len(SEQUENCES)))
    heads = ["Subset", "threshold", "found", *sizes]
    if whole is not None:
        heads.append("Dice against all four, standard error (patients)")
    lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for name, result in results.items():
        content = result.as_json()
        by_size = sensitivity_by_size(result.scores)
        cells = [name, f"{result.threshold:.3f}", f"{content['found']}/{content['lesions']}"]
        cells += [f"{found}/{total}" for found, total in by_size.values()]
        if whole is not None:
            cells.append(_against(result, whole))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *_no_better(results), *_free_response(results), *_each(results)]
    out_folder.write_text(out / "table.md", "\n".join(lines) + "\n")
    raw = {name: result.as_json() for name, result in results.items()}
    about = {"title": title, **({"warning": warning} if warning else {})}
    whole_report = json.dumps({**about, "subsets": raw}, indent=1, allow_nan=False)
    out_folder.write_text(out / "evaluation.json", whole_report + "\n")


MOST_ROWS = 30
"""Of the tables of patients: more are no longer read, and stand in evaluation.json."""


def _each(results: dict[str, SubsetResult]) -> list[str]:
    """Patient by patient, as Markdown: a table of each subset."""
    if sum(len(result.names) for result in results.values()) > MOST_ROWS:
        return ["Patient by patient: evaluation.json."]
    heads = ["Patient", "Dice", "found", "FP", "FP (10 mm3)", "Recall", "Precision"]
    lines = []
    for name, result in results.items():
        lines += [f"{name}, patient by patient:", "", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for patient, one in zip(result.names, result.scores, strict=True):
            cells = [patient, f"{one.dice:.3f}", f"{one.found}/{one.lesions}", str(one.fp), str(one.fp_10mm3)]
            lines.append("| " + " | ".join([*cells, f"{one.recall:.3f}", f"{one.precision:.3f}"]) + " |")
        lines.append("")
    return lines[:-1]


def _against(result: SubsetResult, whole: SubsetResult) -> str:
    """The mean paired difference of Dice; below two standard errors it is noise."""
    if result is whole:
        return ""
    difference = paired_difference(result.dice, whole.dice)
    return f"{difference.mean:+.3f}, {difference.standard_error:.3f} ({difference.n})"


def _no_better(results: dict[str, SubsetResult]) -> list[str]:
    """A line for each subset whose mean Dice is below that of itself with one sequence less, by pairs of patients."""
    lines = []
    for name, result in results.items():
        for part, lesser in results.items():
            whole, fewer = set(name.split("+")), set(part.split("+"))
            difference = paired_difference(result.dice, lesser.dice)
            if fewer < whole and len(whole - fewer) == 1 and difference.mean < 0:
                gap = f"{difference.mean:+.3f}, standard error {difference.standard_error:.3f} ({difference.n})"
                lines += [f"{name} is no better than {part}: {gap}", ""]
    return lines


def _free_response(results: dict[str, SubsetResult]) -> list[str]:
    curves = {name: result.points for name, result in results.items() if result.free}
    return [free_response.EXPLAINED, "", free_response.table(curves)] if curves else []


def _plain(values: dict[str, object]) -> dict[str, object]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


EXAMPLES = """examples
  python -m training.evaluate --cases brats /data/brats --post-gd POST_CUBE --out report/brats
  python -m training.evaluate --cases brainmetshare /data/mets --all-subsets
  python -m training.evaluate --cases cache patients --weights weights/mine --calibrate cache others --rule dice
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 2 with one plain line where data, weights or the folder of the report cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Evaluate weights as the paper does: per patient, by voxel and by lesion.",
        epilog=f"{EXAMPLES}\n{TABLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs=2, metavar=("LAYOUT", "DIR"), required=True, help=f"one of {', '.join(KINDS)}")
    parser.add_argument("--weights", type=Path, default=None, help="folder of weights (default: those of this release)")
    parser.add_argument(
        "--post-gd",
        choices=["BRAVO", "POST_CUBE"],
        default="BRAVO",
        help="slot of post-Gd T1 where the set does not say",
    )
    parser.add_argument("--without-pre", action="store_true", help="leave pre-Gd T1 out")
    parser.add_argument("--labels", type=label_list, metavar="LIST", help=LABELS_HELP)
    parser.add_argument("--all-subsets", action="store_true", help="every subset of the sequences that a patient has")
    parser.add_argument("--calibrate", nargs=2, metavar=("LAYOUT", "DIR"), help="take thresholds from these patients")
    parser.add_argument("--rule", choices=sorted(RULES), default="youden", help="rule of --calibrate (paper: youden)")
    parser.add_argument("--out", type=Path, default=Path("report/evaluation"), help="folder of the report")
    given = parser.parse_args(arguments)
    try:
        run(given, Console())
    except (CaseError, TrainingError, WorkerError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        print(f"training.evaluate: {out_folder.unusable(error, given.out)}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(given: argparse.Namespace, console: Console) -> None:
    """Evaluate as asked, print the table and write the report with its figures."""
    choice = SlotChoice(post=SequenceSlot(given.post_gd), use_pre=not given.without_pre, labels=given.labels)
    out_folder.make(given.out)
    source = open_source(given.cases[0], Path(given.cases[1]), choice)
    weights = given.weights or default_weights()
    predictor = Predictor(weights)
    warning = not_held_out(weights.resolve().parent, given.cases[0], Path(given.cases[1]), source.names)
    if warning:
        console.print(warning, style="yellow", markup=False, soft_wrap=True)
    subsets = readable_subsets(predictor) if given.all_subsets else None
    validation = open_source(given.calibrate[0], Path(given.calibrate[1]), choice) if given.calibrate else None
    calibrated: dict[str, float] = {}

    @cache
    def threshold(present: Present) -> float:
        """By the rule on the validation patients that have these sequences; the card's where none has a lesion."""
        name = subset_name(present)
        if validation is not None:
            shown = _shown(validation, f"calibrate {name}", console)
            calibrated.update(calibrate(predictor, shown, [present], given.rule))
            if name not in calibrated:
                console.print(f"{given.calibrate[1]}: no patient has a lesion and {name}: the card's threshold serves")
        return calibrated[name] if name in calibrated else predictor.identity(present).threshold

    results = evaluate(predictor, _told(_shown(source, "evaluate", console), console), subsets, threshold)
    if not results:
        raise CaseError(f"{given.cases[1]}: no patient has a mask (looked for {mask_sought(given.cases[0])})")
    if validation is not None and not calibrated:
        raise CaseError(f"{given.calibrate[1]}: no patient has a lesion and the sequences: nothing can be calibrated")
    write_report(given.out, f"{predictor.card.name} {predictor.card.version} on {given.cases[0]}", results, warning)
    figures.write_curves({name: result.rocs for name, result in results.items()}, given.out)
    figures.write_boxes({name: result.scores for name, result in results.items()}, given.out)
    free = {name: (result.points, result.scores) for name, result in results.items() if result.free}
    figures.write_free_response(free, given.out)
    figures.write_mosaic(mosaic_rows(predictor, source, threshold), given.out)
    console.print((given.out / "table.md").read_text(), markup=False, soft_wrap=True)
    console.print(f"report in {given.out}")


def _shown(source: Source, what: str, console: Console) -> Iterable[Patient]:
    return track(source, description=what, total=len(source.names), console=console)


def _told(patients: Iterable[Patient], console: Console) -> Iterable[Patient]:
    """The same patients, with a line on what each was left without, and on labels that nobody asked for."""
    unread: set[int] = set()
    for patient in patients:
        for slot, reason in patient.left_out.items():
            console.print(f"{patient.name} is measured without {slot}: {reason}", markup=False)
        unread |= set(patient.unread_labels)
        yield patient
    if unread:
        console.print(unread_note(unread), soft_wrap=True)


MOSAIC_ROWS = 6


def mosaic_rows(predictor: Predictor, source: Source, threshold: Callable[[Present], float]) -> list[figures.MosaicRow]:
    """Fig. 1's rows: the slice of the first patients that shows most of their lesions."""
    rows = []
    for index in range(min(MOSAIC_ROWS, len(source.names))):
        patient = source.get(index)
        if patient.truth is None or not patient.truth.any():
            continue
        probability = predictor.predict(patient.stack, patient.present)
        truth = patient.truth_on_model_grid()
        z = int(np.argmax(truth.sum(axis=(1, 2))))
        background = next(patient.stack[c, z] for c in (2, 0, 3, 1) if patient.present[c])
        rows.append(
            figures.MosaicRow(
                name=patient.name,
                background=background,
                probability=probability[z],
                truth=truth[z],
                threshold=threshold(patient.present),
            )
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
