"""The evaluation as a user gets it: table, JSON, figures as PNG and PDF; objects and lesions counted again, slowly."""

import itertools
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from support.patients import write_patient
from support.weights import random_weights

from model.channels import SEQUENCES
from model.input_dropout import SubsetLaw
from model.subsets import all_subsets, subset_name
from training.evaluate import SubsetResult, by_itself, calibrate, evaluate, main, write_report
from training.figures import BOX_PLOTS, CURVES, FREE, MOSAIC
from training.free_response import EXPLAINED, THRESHOLDS, at_most
from training.out_folder import write_text
from training.prepare import open_source
from training.scores import SIZE_CLASSES_MM, PatientScores, roc, score, size_class_name
from training.statistics import mean_roc
from worker.inference.predict import Predictor

NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
VOXEL_MM3 = 1.3
ALL_FOUR = "BRAVO+PRE_CUBE+POST_CUBE+FLAIR"
SCORES = PatientScores(
    auc=1.0, dice=1.0, iou=1.0, recall=1.0, precision=1.0, fpr=0.0, fp=0, fp_10mm3=0, lesions=0, found=0, by_size={}
)
pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


def bodies(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """The objects of a mask, by walking from voxel to voxel: faces, edges and corners connect."""
    left = {tuple(int(v) for v in place) for place in np.argwhere(mask)}
    found = []
    while left:
        body, edge = set(), [left.pop()]
        while edge:
            here = edge.pop()
            body.add(here)
            near = {tuple(a + b for a, b in zip(here, step, strict=True)) for step in NEIGHBOURS} & left
            left -= near
            edge.extend(near)
        found.append(body)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_objects_and_lesions_by_size_agree_with_a_walk_over_the_voxels(seed):
    rng = np.random.default_rng(seed)
    truth = np.zeros((14, 16, 18), dtype=bool)
    for radius in (0.5, 1.2, 2.5, 4.2):
        z, y, x = (rng.integers(2, n - 2) for n in truth.shape)
        zz, yy, xx = np.ogrid[: truth.shape[0], : truth.shape[1], : truth.shape[2]]
        truth |= (zz - z) ** 2 + (yy - y) ** 2 + (xx - x) ** 2 <= radius**2
    probability = (rng.random(truth.shape) * (0.62 + 0.3 * truth)).astype(np.float32)
    inside = np.ones_like(truth)
    found = score(probability, truth, inside, threshold=0.55, voxel_volume_mm3=VOXEL_MM3)
    called = {tuple(int(v) for v in place) for place in np.argwhere(probability >= 0.55)}
    false = [body for body in bodies(probability >= 0.55) if not any(truth[place] for place in body)]
    assert found.fp == len(false)
    assert found.fp_10mm3 == sum(len(body) * VOXEL_MM3 >= 10 for body in false)
    counted = {size_class_name(*limits): [0, 0] for limits in SIZE_CLASSES_MM}
    for body in bodies(truth):
        diameter = (6 * len(body) * VOXEL_MM3 / np.pi) ** (1 / 3)
        low, high = next(limits for limits in SIZE_CLASSES_MM if limits[0] <= diameter < limits[1])
        counted[size_class_name(low, high)][0] += bool(body & called)
        counted[size_class_name(low, high)][1] += 1
    assert {name: list(pair) for name, pair in found.by_size.items()} == counted


def test_the_mean_curve_and_its_band_agree_with_a_slow_one():
    rng = np.random.default_rng(0)
    patients = []
    for _ in range(5):
        truth = rng.random((6, 8, 8)) < 0.2
        patients.append((np.clip(rng.normal(0.3 + 0.3 * truth, 0.15), 0, 0.999).astype(np.float32), truth))
    fpr, mean, low, high = mean_roc([roc(p, t, np.ones_like(t)) for p, t in patients])
    for at in (0.1, 0.3, 0.6):
        rates = []
        for probability, truth in patients:
            cuts = np.arange(2_001) / 2_000
            false = np.array([(probability[~truth] >= cut).mean() for cut in cuts])
            true = np.array([(probability[truth] >= cut).mean() for cut in cuts])
            rates.append(np.interp(at, false[::-1], true[::-1]))
        place = int(np.argmin(np.abs(fpr - at)))
        half = 1.96 * np.std(rates, ddof=1) / np.sqrt(len(rates))
        assert mean[place] == pytest.approx(np.mean(rates), abs=2e-3)
        assert high[place] == pytest.approx(min(1, np.mean(rates) + half), abs=4e-3)
        assert low[place] == pytest.approx(max(0, np.mean(rates) - half), abs=4e-3)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Random weights on two patients, one without BRAVO, every subset."""
    folder = tmp_path_factory.mktemp("evaluation")
    random_weights(folder / "weights")
    write_patient(folder / "patients", 1, slices=4)
    write_patient(folder / "patients", 2, slices=4, absent=(0,))
    options = ["--weights", str(folder / "weights"), "--all-subsets", "--out", str(folder / "report")]
    assert main(["--cases", "cache", str(folder / "patients"), *options]) == 0
    return folder / "report"


def test_all_15_subsets_are_reported_by_whoever_has_their_sequences(report):
    subsets = json.loads((report / "evaluation.json").read_text())["subsets"]
    assert set(subsets) == {subset_name(present) for present in all_subsets()}
    for name, content in subsets.items():
        assert content["patients"] == (1 if "BRAVO" in name else 2)
        assert set(content["by_size"]) == {"<3 mm", "3-6 mm", "6-10 mm", ">10 mm"}
        assert content["lesions"] == sum(total for _, total in content["by_size"].values()) > 0
    table = (report / "table.md").read_text()
    assert table.count("| PRE_CUBE+POST_CUBE+FLAIR |") == 2
    assert "FP (10 mm3)" in table


def test_all_thresholds_are_reported_beside_that_of_the_card(tmp_path, report):
    """Of all 15 subsets nobody asks for them. What the table tells is what the same patients give at that threshold."""
    weights, patients = report.parent / "weights", report.parent / "patients"
    assert main(["--cases", "cache", str(patients), "--weights", str(weights), "--out", str(tmp_path)]) == 0
    subsets = json.loads((tmp_path / "evaluation.json").read_text())["subsets"]
    found = evaluate(Predictor(weights), open_source("cache", patients))
    assert set(subsets) == set(found) == {ALL_FOUR, "PRE_CUBE+POST_CUBE+FLAIR"}
    told = (tmp_path / "table.md").read_text().split(EXPLAINED)[1].strip().splitlines()[2:4]
    for line, (name, content) in zip(told, subsets.items(), strict=True):
        points = content["free_response"]
        assert [point["threshold"] for point in points] == THRESHOLDS.tolist()
        chosen = at_most(found[name].points, 0.5)
        assert chosen is not None
        again = evaluate(
            Predictor(weights), open_source("cache", patients), threshold=lambda _, at=chosen: at.threshold
        )[name]
        assert chosen.found == sum(one.found for one in again.scores)
        assert chosen.false == np.mean([one.fp_10mm3 for one in again.scores])
        assert chosen.dice == pytest.approx(np.mean([one.dice for one in again.scores]))
        assert line.startswith(f"| {name} | {chosen.found}/{chosen.lesions}, Dice {chosen.dice:.3f} (from ")
    assert "free_response" not in (report / "evaluation.json").read_text()
    assert EXPLAINED not in (report / "table.md").read_text()


def test_few_patients_are_reported_one_by_one(report):
    """Dice, lesions found and false objects of each, as they stand in evaluation.json."""
    subsets = json.loads((report / "evaluation.json").read_text())["subsets"]
    _, part = (report / "table.md").read_text().split("\nPRE_CUBE+FLAIR, patient by patient:\n\n")
    rows = part.split("\n\n")[0].splitlines()[2:]
    assert len(rows) == 2
    for row, one in zip(rows, subsets["PRE_CUBE+FLAIR"]["each"], strict=True):
        name, dice, found, fp, fp_10mm3, *_ = row.strip("| ").split(" | ")
        assert (name, dice, found) == (one["name"], f"{one['dice']:.3f}", f"{one['found']}/{one['lesions']}")
        assert (int(fp), int(fp_10mm3)) == (one["fp"], one["fp_10mm3"])


def test_of_many_patients_the_table_refers_to_the_other_file(tmp_path):
    result = SubsetResult(threshold=0.5, names=[f"{n:04d}" for n in range(31)], scores=[SCORES] * 31)
    write_report(tmp_path, "title", {"FLAIR": result})
    table = (tmp_path / "table.md").read_text()
    assert table.endswith("\nPatient by patient: evaluation.json.\n")
    assert "0007" not in table


def test_the_comparator_is_measured_where_it_reads_something(tmp_path):
    """Of BRAVO alone it would answer with zeros, and a table of them would look like a measurement."""
    random_weights(tmp_path / "weights", sequences=SEQUENCES[1:], subset_law=SubsetLaw.NONE)
    write_patient(tmp_path / "patients", 1, slices=4)
    options = ["--weights", str(tmp_path / "weights"), "--all-subsets", "--out", str(tmp_path / "report")]
    assert main(["--cases", "cache", str(tmp_path / "patients"), *options]) == 0
    subsets = json.loads((tmp_path / "report" / "evaluation.json").read_text())["subsets"]
    assert set(subsets) == {subset_name(present) for present in all_subsets()} - {"BRAVO"}


def test_a_patient_whom_the_model_refuses_is_named(tmp_path, capsys):
    random_weights(tmp_path / "weights", sequences=SEQUENCES[1:], subset_law=SubsetLaw.NONE)
    write_patient(tmp_path / "patients", 1, slices=4)
    write_patient(tmp_path / "patients", 2, slices=4, absent=(1, 2, 3))
    options = ["--weights", str(tmp_path / "weights"), "--out", str(tmp_path / "report")]
    assert main(["--cases", "cache", str(tmp_path / "patients"), *options]) == 2
    said = capsys.readouterr().err
    assert (
        said == "training.evaluate: 0002: the model reads PRE_CUBE, POST_CUBE, FLAIR only, and the study holds BRAVO\n"
    )


@pytest.fixture
def healthy(tmp_path):
    """A folder with a patient without a lesion, and BRAVO only."""
    folder = write_patient(tmp_path / "healthy", 9, slices=4, absent=(1, 2, 3))
    np.save(folder / "mask.npy", np.zeros((4, 256, 256), dtype=np.uint8))
    return folder.parent


def test_calibration_on_patients_without_a_lesion_is_refused(tmp_path, healthy, capsys):
    """The card's thresholds would else pass for calibrated ones."""
    random_weights(tmp_path / "weights")
    write_patient(tmp_path / "patients", 1, slices=4)
    cases = ["--cases", "cache", str(tmp_path / "patients"), "--weights", str(tmp_path / "weights")]
    assert main([*cases, "--calibrate", "cache", str(healthy), "--out", str(tmp_path / "report")]) == 2
    assert f"{healthy}: no patient has a lesion and the sequences: nothing can be calibrated" in capsys.readouterr().err
    assert not (tmp_path / "report" / "table.md").exists()


def test_no_figure_of_an_earlier_report_stands_beside_a_new_table(tmp_path, healthy):
    """Of a patient without a lesion there is neither mosaic nor curve."""
    random_weights(tmp_path / "weights")
    write_patient(tmp_path / "patients", 1, slices=4)
    options = ["--weights", str(tmp_path / "weights"), "--out", str(tmp_path / "report")]
    assert main(["--cases", "cache", str(tmp_path / "patients"), *options]) == 0
    assert {path.stem for path in (tmp_path / "report").glob("figure*")} == {MOSAIC, CURVES, BOX_PLOTS, FREE}
    assert main(["--cases", "cache", str(healthy), *options]) == 0
    assert {path.stem for path in (tmp_path / "report").glob("figure*")} == {BOX_PLOTS}


@pytest.mark.parametrize("name", ["table.md", "evaluation.json", "figure-3-boxes.pdf"])
def test_a_full_disk_is_one_plain_line(tmp_path, capsys, name):
    """It names the file, also where the system names none."""
    random_weights(tmp_path / "weights")
    write_patient(tmp_path / "patients", 1, slices=4)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / f"{name}.new").symlink_to("/dev/full")
    options = ["--weights", str(tmp_path / "weights"), "--out", str(tmp_path / "report")]
    assert main(["--cases", "cache", str(tmp_path / "patients"), *options]) == 2
    assert capsys.readouterr().err == (
        f"training.evaluate: {tmp_path / 'report' / name} cannot be read or written (No space left on device): make "
        "room there or mend its rights, and give the same line again\n"
    )


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path):
    (tmp_path / "table.md").write_text("old")
    (tmp_path / "table.md.new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as raised:
        write_text(tmp_path / "table.md", "new")
    assert raised.value.filename == str(tmp_path / "table.md")
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]
    assert (tmp_path / "table.md").read_text() == "old"
    write_text(tmp_path / "table.md", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "report").touch()
    assert main(["--cases", "cache", str(tmp_path / "nowhere"), "--out", str(tmp_path / "report")]) == 2
    assert capsys.readouterr().err == f"training.evaluate: --out {tmp_path / 'report'} cannot be made: File exists\n"


def test_a_subset_that_cannot_be_calibrated_is_named(tmp_path, capsys):
    random_weights(tmp_path / "weights")
    write_patient(tmp_path / "patients", 1, slices=4)
    write_patient(tmp_path / "patients", 2, slices=4, absent=(0,))
    write_patient(tmp_path / "validation", 3, slices=4, absent=(0,))
    cases = ["--cases", "cache", str(tmp_path / "patients"), "--weights", str(tmp_path / "weights")]
    calibrated = ["--calibrate", "cache", str(tmp_path / "validation"), "--out", str(tmp_path / "report")]
    assert main([*cases, *calibrated]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"no patient has a lesion and {ALL_FOUR}: the card's threshold serves" in said
    assert "PRE_CUBE+POST_CUBE+FLAIR: the card's" not in said.replace(ALL_FOUR, "")


def test_the_labels_that_count_as_lesion_can_be_chosen(tmp_path, capsys):
    """BraTS calls oedema 2: by --labels 2 it is what is looked for."""
    random_weights(tmp_path / "weights")
    labels = np.zeros((40, 44, 12), dtype=np.float32)
    labels[10:14, 10:14, 5:8], labels[30:32, 30:32, 6], labels[20, 20, 6] = 2, 1, 7
    folder = tmp_path / "brats" / "BraTS-MET-00001-000"
    folder.mkdir(parents=True)
    head = np.random.default_rng(0).uniform(50, 150, labels.shape).astype(np.float32)
    for ending, voxels in (("t1c", head), ("seg", labels)):
        nibabel.save(
            nibabel.Nifti1Image(voxels, np.diag([3.0, 3.0, 3.0, 1])), folder / f"{folder.name}-{ending}.nii.gz"
        )
    found = []
    for options in ([], ["--labels", "2"]):
        weights = ["--weights", str(tmp_path / "weights"), "--out", str(tmp_path / "report")]
        assert main(["--cases", "brats", str(tmp_path / "brats"), *weights, *options]) == 0
        subsets = json.loads((tmp_path / "report" / "evaluation.json").read_text())["subsets"]
        found.append(subsets["BRAVO"]["each"][0]["by_size"])
    assert "the labels 7 too, which were not taken as lesion; --labels chooses" in capsys.readouterr().out
    assert found[0][">10 mm"][1] == 0
    assert found[1][">10 mm"][1] == 1


@pytest.mark.parametrize("name", ["figure-1-mosaic", "figure-2-roc", "figure-3-boxes"])
def test_the_papers_figures_are_written_as_png_and_pdf(report, name):
    png, pdf = ((report / f"{name}.{ending}").read_bytes() for ending in ("png", "pdf"))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(png) > 5000
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")


def test_thresholds_of_the_subsets_that_are_measured_come_from_other_patients(tmp_path):
    """Each is the one that the rule gives on those patients; nothing else is calibrated."""
    random_weights(tmp_path / "weights")
    write_patient(tmp_path / "measured", 1, slices=4)
    write_patient(tmp_path / "measured", 2, slices=4, absent=(0,))
    write_patient(tmp_path / "validation", 3, slices=4)
    cases = ["--cases", "cache", str(tmp_path / "measured"), "--weights", str(tmp_path / "weights")]
    rule = ["--calibrate", "cache", str(tmp_path / "validation"), "--rule", "dice"]
    assert main([*cases, *rule, "--out", str(tmp_path / "report")]) == 0
    subsets = json.loads((tmp_path / "report" / "evaluation.json").read_text())["subsets"]
    both = [(True, True, True, True), (False, True, True, True)]
    others = open_source("cache", tmp_path / "validation")
    expected = calibrate(Predictor(tmp_path / "weights"), others, both, "dice")
    assert {name: one["threshold"] for name, one in subsets.items()} == expected


def test_a_subset_by_itself_is_what_calibration_and_evaluation_on_the_same_patients_give(tmp_path):
    random_weights(tmp_path / "weights")
    for number in (1, 2):
        write_patient(tmp_path / "patients", number, slices=4)
    predictor, patients = Predictor(tmp_path / "weights"), open_source("cache", tmp_path / "patients")
    present = (False, True, True, True)
    thresholds = calibrate(predictor, patients, [present], "dice")
    expected = evaluate(predictor, patients, [present], lambda p: thresholds[subset_name(p)])[subset_name(present)]
    assert by_itself(predictor, patients, present, "dice").as_json() == expected.as_json()
    assert expected.as_json()["patients"] == 2


def test_a_subset_is_compared_with_all_four_patient_by_patient(tmp_path):
    """Means over other patients cannot be compared; the differences of the same ones can."""
    whole, part = SubsetResult(threshold=0.5), SubsetResult(threshold=0.25)
    for result, dice in ((whole, {"a": 0.9, "b": 0.5, "c": 0.7}), (part, {"d": 0.1, "b": 0.4, "c": 0.3, "a": 0.8})):
        result.names = list(dice)
        result.scores = [replace(SCORES, dice=value) for value in dice.values()]
    write_report(tmp_path, "title", {ALL_FOUR: whole, "BRAVO": part})
    rows = [line for line in (tmp_path / "table.md").read_text().splitlines() if "0.500" in line or "0.250" in line]
    assert rows[0].endswith("|  |")
    assert rows[1].endswith("| -0.200, 0.100 (3) |")  # -.1, -.1, -.4: deviation .1732, by the root of 3
    write_report(tmp_path, "title", {"BRAVO": part})
    assert "against all four" not in (tmp_path / "table.md").read_text()


def test_a_subset_that_is_no_better_than_a_part_of_it_is_named(tmp_path):
    """By the patients of both, and against itself with one sequence less only."""
    results = {}
    for name, dice in (
        ("BRAVO+PRE_CUBE+FLAIR", {"a": 0.1, "b": 0.1}),
        ("BRAVO+FLAIR", {"a": 0.4, "b": 0.6}),
        ("FLAIR", {"a": 0.5, "b": 0.5, "c": 0.9}),
        ("BRAVO", {"a": 0.6, "b": 0.6}),
    ):
        results[name] = SubsetResult(threshold=0.5, names=list(dice), rocs=[])
        results[name].scores = [replace(SCORES, dice=value) for value in dice.values()]
    write_report(tmp_path, "title", results)
    told = [line for line in (tmp_path / "table.md").read_text().splitlines() if "no better" in line]
    assert told == [
        "BRAVO+PRE_CUBE+FLAIR is no better than BRAVO+FLAIR: -0.400, standard error 0.100 (2)",
        "BRAVO+FLAIR is no better than BRAVO: -0.100, standard error 0.100 (2)",
    ]
