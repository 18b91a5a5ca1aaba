"""`make reproduce`, `make reproduce-full`: the paper's study on synthetic patients, from nothing to table and figures.

Site A trains with four sequences; site B, which has no BRAVO, validates and tests. The ILD model is compared with two
networks trained without dropout on the three sequences of site B: torchvision's DeepLab V3, as in the paper, and the
ILD model's own network, which tells what dropout does from what the network does. Thresholds come from the validation
patients by the rules of `RULE_NAMES`; the figures show those by `SHOWN`, and the free-response curve all. Each step is
the command that a user has; one that is done already is not done again, and one that was done otherwise is refused.
origin.json keeps where the patients lie and which report the networks began with, so that a later study can go on from
this one.
On a CPU equal networks train side by side, which two cores do in four fifths of the time; on a GPU one after the other.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.progress import track

from model.card import Card
from model.checkpoint import CheckpointError, read_card
from model.network import ARCHITECTURES, DEEPLABS
from model.subsets import all_subsets, subset_name
from training import commands, figures, free_response, out_folder
from training.cases.case import CaseError
from training.configuration import read
from training.errors import TrainingError
from training.evaluate import RULES, SubsetResult, by_itself, curves, mosaic_rows, write_report
from training.heads import divided, share_heads, standing_heads, strange
from training.interruption import INTERRUPTED
from training.origin import ORIGIN, Origin, read_origin, write_origin
from training.patients import patient_folders
from training.prepare import open_source
from training.scores import SIZE_CLASSES_MM, PatientScores, size_class_name
from training.statistics import sensitivity_by_size, table
from training.step import STATE_FILE, saved_step
from worker.errors import WorkerError
from worker.inference.predict import Predictor

WITHOUT_BRAVO = (False, True, True, True)
"""The sequences of site B."""
ILD, COMPARATOR, DEEPLAB = "ILD", "without dropout", "DeepLab V3"
SIZES = [size_class_name(low, high) for low, high in SIZE_CLASSES_MM]
PARTS = ("train", "validation", "test", "held-out")
"""The folders of a cohort."""
RUNS = {DEEPLAB: "deeplab", COMPARATOR: "comparator", ILD: "ild"}
"""The folder below runs/ of each network, in the order of the table."""
SETTINGS = Path(__file__).parent / "study" / "settings.json"
"""Those of the study in training/study: milder random changes than training's, as both sites are synthetic; the Tversky
loss of each crop; and as site B lacks BRAVO, dropout that takes it in half of the samples, the others in .15 and later
in .05."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """How large a study is."""

    train: int
    validation: int
    test: int
    held_out: int
    """Patients of site A kept from training, for all 15 subsets."""
    steps: int
    architecture: str
    """Of ILD and of the network without dropout."""
    deeplab: str | None = "deeplabv3_mobilenet_v3_large"
    """The paper's comparator; None leaves it out."""
    configuration: Path = SETTINGS
    """Settings of all trainings."""
    start_from: Path | None = None
    """An earlier report, whose networks go on and whose patients serve."""
    mirror: bool = False
    """Each network answers with the mean over the stack and its left-right mirror image."""


PAPER = Study(train=100, validation=10, test=55, held_out=10, steps=12_000, architecture="quartet_wide")
"""The patients of the paper. Its own network (EXAMPLE) wants a GPU; these want some hours."""
SMALL = Study(train=6, validation=2, test=3, held_out=1, steps=120, architecture="quartet_light")
"""Minutes on two cores. Far too little to learn the task: it shows that the way through is whole."""


EXAMPLE = """examples
  python -m training.reproduce --small --out report/small
  python -m training.reproduce --anatomy DIR --out report                                                 hours
  python -m training.reproduce --anatomy DIR --architecture deeplabv3_resnet50 --deeplab none --out paper on a GPU
  python -m training.reproduce --steps 6000 --start-from report --out longer                              go on
"""
NONE = "none"
VALIDATIONS = 4
"""How often a training looks at the validation patients."""


def run(study: Study, out: Path, anatomy: Path | None) -> None:
    """The whole study into `out`: cohort/ (unless an earlier report has it), runs/, table.md, figures.

    What can be refused is, before anything is made. Raises `TrainingError` for that and for a step that failed.
    """
    read(study.configuration)
    cohort = earlier_cohort(study, study.start_from, out) if study.start_from else out / "cohort"
    _require_same_start(out, study.start_from)
    if study.start_from is None:
        _require_same_heads(out, anatomy)
    for folder in (out, out / "subsets"):
        out_folder.make(folder)
    write_origin(out, Origin(cohort=cohort, start_from=study.start_from))
    if study.start_from is None:
        _make_cohort(study, out, anatomy)
    predictors = networks(study, cohort, out)
    results = {name: _on_site_b(predictor, cohort) for name, predictor in predictors.items()}
    split = json.loads((out / "runs" / RUNS[ILD] / "split.json").read_text())
    shown = {name: by_rule[SHOWN] for name, by_rule in results.items()}
    cards = {name: predictor.card for name, predictor in predictors.items()}
    write(out, conditions(cards, split, len(shown[ILD].scores), went_on=study.start_from is not None), results)
    figures.write_curves({name: found.rocs for name, found in shown.items()}, out)
    figures.write_boxes({name: found.scores for name, found in shown.items()}, out)
    figures.write_free_response({name: (found.points, found.scores) for name, found in shown.items()}, out)
    figures.write_mosaic(
        mosaic_rows(predictors[ILD], open_source("cache", cohort / "test"), lambda _: shown[ILD].threshold), out
    )
    _all_subsets(predictors[ILD], cohort, out / "subsets")


def _make_cohort(study: Study, out: Path, anatomy: Path | None) -> None:
    cohort = out / "cohort"
    heads = share_heads(anatomy, out / "anatomy")
    wanted = {"validation": (study.validation, "B", 7001, "validation"), "train": (study.train, "A", 1, "train")}
    wanted |= {"held-out": (study.held_out, "A", 5001, "test"), "test": (study.test, "B", 8001, "test")}
    for name, (patients, site, seed, share) in wanted.items():
        where = ["--anatomy", str(heads[share])] if heads else []
        size = ["--patients", str(patients), "--site", site, "--seed", str(seed)]
        _command("training.cohort", "cache", "--out", str(cohort / name), *size, *where)


def earlier_cohort(study: Study, report: Path, out: Path) -> Path:
    """The patients of the report of --start-from. Raises `TrainingError` where it is `out`, or anything is missing."""
    if report.resolve() == out.resolve():
        raise TrainingError(f"--start-from {report} is --out itself, where nothing would go on: give another --out")
    origin = read_origin(report)
    cohort = origin.cohort if origin else report / "cohort"
    if origin and not cohort.is_dir():
        raise TrainingError(
            f"--start-from {report}: its patients lay in {cohort}, which is gone: put it back, or write its new place "
            f"into {report / ORIGIN}"
        )
    weights = [report / "runs" / RUNS[name] / "weights" for name in networks_of(study)]
    missing = [folder for folder in (cohort / part for part in PARTS) if not patient_folders(folder)]
    missing += [folder for folder in weights if not folder.is_dir()]
    if missing:
        lacking = ", ".join(str(folder) for folder in missing)
        others = " (--deeplab none does without that network)" if missing == weights[:1] and study.deeplab else ""
        raise TrainingError(
            f"--start-from {report}: no report of this command, or not a whole one: it lacks {lacking}{others}"
        )
    for name in networks_of(study):
        theirs, ours = read_card(report / "runs" / RUNS[name] / "weights").architecture, _architecture(study, name)
        if theirs != ours:
            raise TrainingError(f"--start-from {report}: its {name} is a {theirs}, not a {ours}: ask for the same")
    return cohort


def _require_same_start(out: Path, start_from: Path | None) -> None:
    """Refuse networks that stand in `out` and began otherwise than is asked for: training would go on with them."""
    if not _networks_stand(out):
        return
    origin = read_origin(out)
    if origin is None:
        raise TrainingError(f"{out} holds networks, and no {ORIGIN} that says how they began: give another --out")
    if origin.start_from != (start_from.resolve() if start_from else None):
        began = f"with --start-from {origin.start_from}" if origin.start_from else "without --start-from"
        raise TrainingError(
            f"{out} holds networks that began {began} ({ORIGIN} there): ask for the same, or give another --out"
        )


def _require_same_heads(out: Path, anatomy: Path | None) -> None:
    """Refuse heads that stand otherwise in `out`, where patients or networks have them: one that trained could test."""
    wanted, standing = divided(anatomy), standing_heads(out / "anatomy")
    same = bool(wanted) == bool(standing) and not strange(standing, wanted)
    if same or not (_networks_stand(out) or any(patient_folders(out / "cohort" / part) for part in PARTS)):
        return
    raise TrainingError(
        f"{out} holds patients or networks of other heads, or of heads divided otherwise, than those of "
        f"{f'--anatomy {anatomy}' if anatomy else 'a study without --anatomy'}: give the label maps of then, another "
        f"--out, or remove anatomy/, cohort/ and runs/ there"
    )


def _networks_stand(out: Path) -> bool:
    return any((out / "runs").glob(f"*/{STATE_FILE}"))


def networks_of(study: Study) -> list[str]:
    """The names of the networks that a study compares, in the order of its table."""
    return [name for name in RUNS if name != DEEPLAB or study.deeplab]


def networks(study: Study, cohort: Path, out: Path) -> dict[str, Predictor]:
    """Train all, or take those that stand in `out`."""
    options = {RUNS[name]: _training(study, cohort, out, name) for name in networks_of(study)}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    equal = [RUNS[COMPARATOR], RUNS[ILD]]
    both_left = not any(_finished(study, out / "runs" / run) for run in equal)
    if both_left and not torch.cuda.is_available() and cores >= len(equal):
        share = ["--threads", str(cores // len(equal))]
        _commands("training.train", {run: [*options.pop(run), *share] for run in equal})
    for given in options.values():
        _command("training.train", *given)
    return {name: _trained(study, out, name) for name in networks_of(study)}


def _finished(study: Study, run: Path) -> bool:
    """Whether a network has all its steps: what is left is a validation at most, and the other gets all cores."""
    return (saved_step(run) or 0) >= study.steps


def _training(study: Study, cohort: Path, out: Path, name: str) -> list[str]:
    """The options of training.train."""
    length = ["--steps", str(study.steps), "--steps-per-epoch", str(max(1, study.steps // VALIDATIONS))]
    data = ["--data", str(cohort / "train"), "--validate-on", str(cohort / "validation")]
    settings = ["--architecture", _architecture(study, name), "--configuration", str(study.configuration)]
    if study.start_from is not None:
        settings += ["--start-from", str(study.start_from / "runs" / RUNS[name] / "weights")]
    dropout = [] if name == ILD else ["--without-dropout"]
    return [*data, "--out", str(out / "runs" / RUNS[name]), *length, *settings, *dropout]


def _architecture(study: Study, name: str) -> str:
    return study.deeplab if name == DEEPLAB and study.deeplab else study.architecture


def _trained(study: Study, out: Path, name: str) -> Predictor:
    predictor = Predictor(out / "runs" / RUNS[name] / "weights")
    predictor.card = replace(predictor.card, mirror=study.mirror)
    return predictor


def _on_site_b(predictor: Predictor, cohort: Path) -> dict[str, SubsetResult]:
    """The test patients by rule of threshold; thresholds come from the validation patients."""
    validation = open_source("cache", cohort / "validation")
    rocs = curves(predictor, validation, [WITHOUT_BRAVO])[subset_name(WITHOUT_BRAVO)]
    results = {rule: SubsetResult(threshold=chosen(rocs)) for rule, chosen in RULES.items()}
    results[SHOWN].free = []
    test = open_source("cache", cohort / "test")
    for patient in track(test, description="test", total=len(test.names)):
        probability = patient.on_truth(predictor.predict(patient.stack, WITHOUT_BRAVO))
        for result in results.values():
            result.add(patient, probability)
    return results


def _all_subsets(predictor: Predictor, cohort: Path, out: Path) -> None:
    held_out = open_source("cache", cohort / "held-out")
    results = {
        subset_name(present): by_itself(predictor, held_out, present, "dice")
        for present in track(all_subsets(), description="all 15 subsets")
    }
    write_report(out, "All 15 subsets on held-out patients of site A (thresholds of the same patients)", results)


RULE_NAMES = {
    "youden": "the Youden index, as the paper states",
    "dice": "the greatest mean Dice",
    "one-se": "the one-standard-error rule: the highest up to .9 within a standard error of the greatest mean Dice",
}
SHOWN = "one-se"
"""The rule of the figures. Like that of the served weights it takes the highest of thresholds that are as good."""


def conditions(cards: Mapping[str, Card], split: Mapping[str, Sequence[str]], tested: int, *, went_on: bool) -> str:
    """What was done, in a sentence: by the cards and the split of the run, not by what was asked for."""
    train, validation = len(split["train"]), len(split["validation"])
    patients = f"{train} patients of site A train; {validation} of site B validate, {tested} test"
    steps = f"{cards[ILD].configuration['steps']} steps each" + ", after those of an earlier study" * went_on
    steps += ", mean with the mirror image" * cards[ILD].mirror
    kinds = f"{cards[ILD].architecture}, with and without dropout"
    if DEEPLAB in cards:
        kinds += f", and {cards[DEEPLAB].architecture}"
    return f"{patients}, without BRAVO. {kinds}: {steps}. Research use only."


def write(out: Path, done: str, results: Mapping[str, Mapping[str, SubsetResult]]) -> None:
    """table.md and study.json of all networks, by each rule; `done` is the sentence of `conditions`."""
    lines = ["# The paper's study on synthetic patients", "", done]
    for rule, explained in RULE_NAMES.items():
        rows: dict[str, Sequence[PatientScores]] = {name: found[rule].scores for name, found in results.items()}
        thresholds = ", ".join(f"{name} {found[rule].threshold:.3f}" for name, found in results.items())
        lines += ["", f"Thresholds by {explained}: {thresholds}.", "", table(rows, tested=ILD)]
        lines += ["| Lesions found | " + " | ".join(SIZES) + " |", "| --- |" + " --- |" * len(SIZES)]
        lines += [_found(name, scores) for name, scores in rows.items()]
    lines += ["", free_response.EXPLAINED, ""]
    lines.append(free_response.table({name: found[SHOWN].points for name, found in results.items()}))
    lines += ["![ROC](figure-2-roc.png) ![Boxes](figure-3-boxes.png) ![FROC](figure-4-froc.png)", ""]
    lines += ["![Mosaic](figure-1-mosaic.png)", ""]
    lines += ["All 15 subsets: [subsets/table.md](subsets/table.md)", ""]
    out_folder.write_text(out / "table.md", "\n".join(lines))
    raw = {name: {rule: found.as_json() for rule, found in by_rule.items()} for name, by_rule in results.items()}
    out_folder.write_text(out / "study.json", json.dumps(raw, indent=1, allow_nan=False) + "\n")


def _found(name: str, scores: Sequence[PatientScores]) -> str:
    cells = [f"{found}/{total}" for found, total in sensitivity_by_size(scores).values()]
    return "| " + " | ".join([name, *cells]) + " |"


def _command(module: str, *arguments: str) -> None:
    """Run one of the training commands as a user would; its own progress and errors are shown."""
    _announce(module, arguments)
    _require_success(module, {"": commands.run(module, arguments)})


def _commands(module: str, arguments: Mapping[str, Sequence[str]]) -> None:
    """The same command side by side, by a name for each."""
    for given in arguments.values():
        _announce(module, given)
    _require_success(module, commands.run_abreast(module, arguments))


def _require_success(module: str, codes: Mapping[str, int]) -> None:
    """Raise `TrainingError` that names the commands that ended with another exit code than 0."""
    failed = [name for name, code in codes.items() if code]
    which = f"{module} of {' and '.join(failed)}" if any(failed) else module
    if any(code == -signal.SIGKILL for code in codes.values()):
        raise TrainingError(f"{which} was killed, as happens for want of memory: the same line goes on with more of it")
    if failed:
        raise TrainingError(f"{which} says why, above")


def _announce(module: str, arguments: Sequence[str]) -> None:
    print(f"\n$ python -m {module} {' '.join(arguments)}", flush=True)  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 1 where a step failed or is refused, 2 where a file cannot be read or written, or for an
    option that is none, 130 after Ctrl-C; the same line again goes on from there.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.reproduce",
        description="The paper's study on synthetic patients: cohort, networks, table 1 and figures.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--small", action="store_true", help="minutes instead of hours; shows the way, learns little")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    parser.add_argument("--anatomy", type=Path, help="folder of label maps; without it nilearn's head")
    parser.add_argument("--steps", type=int, help=f"of each training; default {PAPER.steps}; small: {SMALL.steps}")
    parser.add_argument(
        "--architecture", choices=ARCHITECTURES, help=f"default {PAPER.architecture}; small: {SMALL.architecture}"
    )
    parser.add_argument(
        "--deeplab",
        choices=[*DEEPLABS, NONE],
        default=PAPER.deeplab,
        help=f"the paper's comparator (default {PAPER.deeplab}; {NONE} leaves it out)",
    )
    parser.add_argument(
        "--configuration", type=Path, default=SETTINGS, help="settings of all trainings (default: those of the study)"
    )
    parser.add_argument("--start-from", type=Path, help="report whose networks go on, with its patients")
    parser.add_argument("--mirror", action="store_true", help="all answer with the mean with the mirror image")
    given = parser.parse_args(arguments)
    if given.architecture == given.deeplab:
        parser.error(f"argument --deeplab: {given.deeplab} without dropout is trained already (--architecture): {NONE}")
    if given.steps is not None and given.steps < 1:
        parser.error(f"argument --steps: {given.steps} is no whole number above 0")
    if given.start_from is not None and given.anatomy is not None:
        parser.error("argument --anatomy: with --start-from its patients serve, and their heads; leave it out")
    size = SMALL if given.small else PAPER
    study = replace(
        size,
        architecture=given.architecture or size.architecture,
        deeplab=None if given.deeplab == NONE else given.deeplab,
        steps=given.steps or size.steps,
        configuration=given.configuration,
        start_from=given.start_from,
        mirror=given.mirror,
    )
    try:
        run(study, given.out, given.anatomy)
        print(f"\n{(given.out / 'table.md').read_text()}")  # noqa: T201
    except (CaseError, CheckpointError, TrainingError, WorkerError) as error:
        print(f"training.reproduce: a step failed ({error})", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print(f"training.reproduce: stopped; the same line goes on with what stands in {given.out}", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except OSError as error:
        print(f"training.reproduce: {out_folder.unusable(error, given.out)}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
