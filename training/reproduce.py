"""`make reproduce`, `make reproduce-full`: the paper's study on synthetic patients, from nothing to table and figures.

Site A trains with four sequences; site B, which has no BRAVO, validates and tests. The ILD model is compared with the
same network trained without dropout on the three sequences of site B (paper: DeepLab V3). Thresholds: Youden index on
the validation patients. Each step is the command that a user has; one that is done already is not done again.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.subsets import all_subsets, subset_name
from training import figures
from training.evaluate import SubsetResult, calibrate, evaluate, write_report
from training.prepare import open_source
from training.scores import PatientScores
from training.statistics import table
from worker.inference.predict import Predictor

WITHOUT_BRAVO = (False, True, True, True)
"""The sequences of site B."""
ILD, COMPARATOR = "ILD", "DeepLab V3"


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


PAPER = Study(train=100, validation=10, test=55, held_out=10, steps=20_000, architecture="deeplabv3_resnet50")
SMALL = Study(train=6, validation=2, test=3, held_out=1, steps=120, architecture="quartet_light")
"""Minutes on two cores. Far too little to learn the task: it shows that the way through is whole."""


def run(study: Study, out: Path, anatomy: Path | None) -> None:
    """The whole study into `out`: cohort/, runs/, table.md, figures."""
    cohort = out / "cohort"
    wanted = {"train": (study.train, "A", 1), "held-out": (study.held_out, "A", 5001)}
    wanted |= {"validation": (study.validation, "B", 7001), "test": (study.test, "B", 8001)}
    for name, (patients, site, seed) in wanted.items():
        where = ["--anatomy", str(anatomy)] if anatomy else []
        size = ["--patients", str(patients), "--site", site, "--seed", str(seed)]
        _command("training.cohort", "cache", "--out", str(cohort / name), *size, *where)
    predictors = {
        COMPARATOR: _train(study, out, "comparator", "--without-dropout"),
        ILD: _train(study, out, "ild"),
    }
    compared = {name: _on_site_b(predictor, cohort) for name, predictor in predictors.items()}
    _write(out, study, compared)
    figures.write_curves({name: result.rocs for name, result in compared.items()}, out)
    figures.write_boxes({name: result.scores for name, result in compared.items()}, out)
    _all_subsets(predictors[ILD], cohort, out / "subsets")


def _train(study: Study, out: Path, name: str, *options: str) -> Predictor:
    run_folder = out / "runs" / name
    length = ["--steps", str(study.steps), "--steps-per-epoch", str(max(1, study.steps // 20))]
    data = ["--data", str(out / "cohort" / "train"), "--out", str(run_folder)]
    _command("training.train", *data, *length, "--architecture", study.architecture, *options)
    return Predictor(run_folder / "weights")


def _on_site_b(predictor: Predictor, cohort: Path) -> SubsetResult:
    found = calibrate(predictor, open_source("cache", cohort / "validation"), [WITHOUT_BRAVO], "youden")
    results = evaluate(
        predictor,
        open_source("cache", cohort / "test"),
        [WITHOUT_BRAVO],
        lambda present: found[subset_name(present)],
    )
    return results[subset_name(WITHOUT_BRAVO)]


def _all_subsets(predictor: Predictor, cohort: Path, out: Path) -> None:
    held_out = open_source("cache", cohort / "held-out")
    found = calibrate(predictor, held_out, all_subsets(), "youden")
    results = evaluate(predictor, held_out, all_subsets(), lambda present: found[subset_name(present)])
    write_report(out, "All 15 subsets on held-out patients of site A (thresholds of the same patients)", results)


def _write(out: Path, study: Study, compared: Mapping[str, SubsetResult]) -> None:
    scores: dict[str, Sequence[PatientScores]] = {name: result.scores for name, result in compared.items()}
    thresholds = ", ".join(f"{name} {result.threshold:.2f}" for name, result in compared.items())
    patients = f"{study.train} patients of site A train; {study.validation} of site B validate, {study.test} test"
    lines = [
        "# The paper's study on synthetic patients",
        "",
        f"{patients}, without BRAVO. {study.architecture}, {study.steps} steps. Thresholds by the Youden index: "
        f"{thresholds}. Synthetic images; research use only.",
        "",
        table(scores),
        "![ROC](figure-2-roc.png) ![Boxes](figure-3-boxes.png)",
        "",
        "All 15 subsets: [subsets/table.md](subsets/table.md)",
        "",
    ]
    (out / "table.md").write_text("\n".join(lines))


def _command(module: str, *arguments: str) -> None:
    """Run one of the training commands as a user would; its own progress is shown."""
    print(f"\n$ python -m {module} {' '.join(arguments)}", flush=True)  # noqa: T201
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 1 where a step failed; the same line again goes on from there."""
    parser = argparse.ArgumentParser(
        prog="python -m training.reproduce",
        description="The paper's study on synthetic patients: cohort, both networks, table 1 and figures.",
        epilog="example: python -m training.reproduce --small --out report",
    )
    parser.add_argument("--small", action="store_true", help="minutes instead of days; shows the way, learns little")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    parser.add_argument("--anatomy", type=Path, help="folder of label maps; without it nilearn's head")
    parser.add_argument("--architecture", help=f"default {PAPER.architecture}; small: {SMALL.architecture}")
    given = parser.parse_args(arguments)
    study = SMALL if given.small else PAPER
    if given.architecture:
        fields = {name: getattr(study, name) for name in ("train", "validation", "test", "held_out", "steps")}
        study = Study(**fields, architecture=given.architecture)
    try:
        run(study, given.out, given.anatomy)
    except subprocess.CalledProcessError as error:
        print(f"training.reproduce: a step failed ({error})", file=sys.stderr)  # noqa: T201
        return 1
    print(f"\n{(given.out / 'table.md').read_text()}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
