"""Export: thresholds from validation patients, expected metrics from test patients, a card that says so."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.patients import write_patient
from support.weights import random_card, random_weights

from model.channels import SEQUENCES
from model.checkpoint import load
from model.input_dropout import SubsetLaw
from training import export
from training.export import main, with_thresholds
from training.model_card import HALF_SCALE, model_card
from training.out_folder import make


def test_a_run_becomes_weights_with_thresholds_and_metrics(tmp_path):
    random_weights(tmp_path / "run" / "weights")
    for seed, part in ((1, "val"), (2, "test")):
        write_patient(tmp_path / part, seed, slices=4, absent=(0, 1))
    options = ["--validation", str(tmp_path / "val"), "--test", str(tmp_path / "test"), "--version", "9.9.9"]
    assert main([str(tmp_path / "run"), *options, "--out", str(tmp_path / "out"), "--data-source", "made up"]) == 0
    card = load(tmp_path / "out").card
    assert card.version == "9.9.9"
    assert card.data == ("made up",)
    assert set(card.expected) == {"POST_CUBE+FLAIR", "POST_CUBE", "FLAIR"}
    measured = json.loads((tmp_path / "out" / "evaluation" / "evaluation.json").read_text())["subsets"]
    assert card.expected["FLAIR"]["dice"] == pytest.approx(measured["FLAIR"]["summary"]["dice"]["mean"], abs=1e-4)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "Research use only" in readme
    assert card.weights_sha256 in readme
    assert f"{card.expected['FLAIR']['dice']:.3f}" in readme
    assert "pooled on 1 validation patients, none above .9; borrowed" in card.threshold_rule


def test_looks_are_asked_for_kept_and_taken_back(tmp_path):
    """An export of an export keeps what its card asks for, unless it is told otherwise."""
    random_weights(tmp_path / "0")
    write_patient(tmp_path / "val", 1, slices=4, absent=(0, 1, 2))
    told = [["--half-scale", "--crop-to-head"], ["--mirror", "--mirror-objects"], ["--no-half-scale"]]
    looks = []
    for number, options in enumerate(told):
        given = ["--validation", str(tmp_path / "val"), "--version", "1", "--out", str(tmp_path / str(number + 1))]
        assert main([str(tmp_path / str(number)), *given, *options]) == 0
        card = load(tmp_path / str(number + 1)).card
        looks.append((card.half_scale, card.mirror, card.mirror_objects, card.crop_to_head))
        assert (HALF_SCALE in (tmp_path / str(number + 1) / "README.md").read_text()) is card.half_scale
    assert looks == [(True, False, False, True), (True, True, True, True), (False, True, True, True)]


@pytest.mark.parametrize(("threshold", "code"), [(0.75, 0), (0.74, 2)])
def test_asking_again_about_what_was_called_needs_high_thresholds(tmp_path, monkeypatch, capsys, threshold, code):
    """Below .75 a mean calls what was not asked for again, or not, by its neighbours."""
    random_weights(tmp_path / "run")
    write_patient(tmp_path / "val", 1, slices=4, absent=(0, 1, 2))
    monkeypatch.setitem(export.RULES, "dice", lambda _: threshold)
    given = ["--validation", str(tmp_path / "val"), "--version", "1", "--out", str(tmp_path / "out"), "--rule", "dice"]
    assert main([str(tmp_path / "run"), *given, "--mirror-objects"]) == code
    told = capsys.readouterr().err
    assert ("--mirror-objects is for thresholds from 0.75 on, and FLAIR has 0.740" in told) is (code == 2)
    assert (tmp_path / "out" / "card.json").exists() is (code == 0)
    assert main([str(tmp_path / "run"), *given, "--mirror-objects", "--mirror"]) == 0
    assert load(tmp_path / "out").card.mirror_objects


@pytest.mark.parametrize(
    ("looks", "least", "said"),
    [(["--mirror-objects"], 0.75, True), (["--mirror-objects", "--mirror"], 0.0, False), ([], 0.0, False)],
)
def test_pooled_thresholds_are_sought_where_asking_again_is_meant(tmp_path, monkeypatch, looks, least, said):
    random_weights(tmp_path / "run")
    write_patient(tmp_path / "val", 1, slices=4, absent=(0, 1, 2))
    asked = []

    def pooled(rocs: dict, *, least: float) -> dict[str, float]:
        asked.append(least)
        return dict.fromkeys(rocs, 0.8)

    monkeypatch.setattr(export, "pooled_thresholds", pooled)
    given = ["--validation", str(tmp_path / "val"), "--version", "1", "--out", str(tmp_path / "out")]
    assert main([str(tmp_path / "run"), *given, *looks]) == 0
    assert asked == [least]
    assert (", none below .75" in load(tmp_path / "out").card.threshold_rule) is said


def test_without_a_sentence_on_the_data_the_card_says_what_the_run_knows(trained):
    exported(trained, validation="patients", test="patients")
    card = load(trained / "out").card
    assert card.data == (
        "Training: 2 patients of the folder patients.",
        "Choice of the best weights: 1 patient of the folder patients.",
        "Thresholds: 1 patient of the folder patients.",
        "Expected metrics: 1 patient of the folder patients.",
    )
    assert str(trained) not in (trained / "out" / "README.md").read_text()


def test_the_card_names_the_folder_that_chose_and_the_weights_that_were_the_start(trained):
    others = {
        "validation": ["val/0001", "val/0002"],
        "test": [],
        "start_from": "quartet-ild 0.5.0, SHA-256 85790f177db4",
    }
    write_split(trained, {"data": ["/home/jane/a", "/home/jane/b"], **others})
    write_patient(trained / "val", 1, slices=3, absent=(0, 1, 2))
    options = ["--validation", str(trained / "val"), "--version", "1", "--out", str(trained / "out")]
    assert main([str(trained / "run"), *options]) == 0
    assert load(trained / "out").card.data == (
        "Training: 2 patients of the folders a, b.",
        "Training began with the weights quartet-ild 0.5.0, SHA-256 85790f177db4.",
        "Choice of the best weights: 2 patients of the folder val.",
        "Thresholds: 1 patient of the folder val.",
        "Expected metrics: not measured.",
    )


@pytest.mark.parametrize("trained_on", [("Synthetic patients only.",), ()])
def test_weights_exported_again_have_thresholds_and_metrics_of_their_own(tmp_path, trained_on):
    """What an earlier export measured was measured at other thresholds."""
    earlier = {"data": (*trained_on, "Thresholds: 9 patients.", "Expected metrics: 9 patients.")}
    random_weights(tmp_path / "old", **earlier, expected={"FLAIR": {"dice": 0.9}})
    write_patient(tmp_path / "val", 1, slices=3, absent=(0, 1, 2))
    options = ["--validation", str(tmp_path / "val"), "--version", "2", "--out", str(tmp_path / "out")]
    assert main([str(tmp_path / "old"), *options]) == 0
    card = load(tmp_path / "out").card
    own = ("Thresholds: 1 patient of the folder val.", "Expected metrics: not measured.")
    assert card.data == (*(trained_on or ("Training: not stated.",)), *own)
    assert card.expected == {}


def test_the_limits_say_nothing_that_is_known_of_other_weights_only():
    text = model_card(random_card())
    assert "ynthetic" not in text
    assert "patients of other sources than those above is unknown" in text
    assert "Nothing was measured on test patients" in text


@pytest.mark.parametrize(("patients", "said"), [(12.0, True), (300.0, False)])
def test_the_card_says_that_its_patients_were_few(patients, said):
    text = model_card(replace(random_card(), expected={"FLAIR": {"dice": 0.5, "patients": patients}}))
    assert ("means over 12 patients where they are fewest" in text) is said


def test_the_card_names_the_subsets_that_show_next_to_nothing():
    shares = {"PRE_CUBE": 0.07, "FLAIR": 0.8, "BRAVO": 0.19}
    text = model_card(replace(random_card(), expected={name: {"lesions_found": s} for name, s in shares.items()}))
    assert "Next to nothing is found (less than 20% of the lesions) with: BRAVO, PRE_CUBE.\n" in text
    assert "Next to nothing" not in model_card(random_card())


def test_the_ceiling_of_pooled_thresholds_is_told(trained):
    exported(trained, validation="patients", test="patients")
    assert load(trained / "out").card.threshold_rule.startswith("pooled on 1 validation patients, none above .9;")


@pytest.mark.parametrize(
    ("run", "out"), [("run", "run"), ("run", "run/weights"), ("run/weights", "link"), ("old", "old")]
)
def test_an_export_does_not_overwrite_what_it_is_made_of(trained, capsys, run, out):
    (trained / "run" / "configuration.json").touch()
    (trained / "link").symlink_to(trained / "run")
    random_weights(trained / "old")
    before = {path: path.read_bytes() for path in trained.rglob("*.safetensors")}
    options = ["--validation", str(trained / "patients"), "--version", "1", "--out", str(trained / out)]
    assert main([str(trained / run), *options]) == 2
    assert "would overwrite what it is made of" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in trained.rglob("*.safetensors")}


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("typo", "typo: there is no such folder; give --out of training.train"),
        ("patients", "patients holds no weights: give --out of training.train, or a folder of weights"),
        ("young", "young holds no weights yet: training.train writes them after its first epoch"),
    ],
)
def test_a_run_that_is_none_is_one_plain_line(trained, capsys, run, words):
    (trained / "young").mkdir()
    (trained / "young" / "configuration.json").touch()
    options = ["--validation", str(trained / "patients"), "--version", "1", "--out", str(trained / "out")]
    assert main([str(trained / run), *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (trained / "out").exists()


def test_an_empty_list_of_test_patients_is_no_test(tmp_path, capsys):
    """A pattern of the shell that fits nothing."""
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--validation", "val", "--version", "1", "--out", "out", "--test"])
    assert "--test: expected at least one argument" in capsys.readouterr().err


@pytest.fixture
def trained(tmp_path):
    """A run as training leaves it: of `patients` 1 to 4 one validates and one is kept for the test."""
    random_weights(tmp_path / "run" / "weights")
    for seed in (1, 2, 3, 4):
        write_patient(tmp_path / "patients", seed, slices=3, absent=(0, 1, 2))
    write_split(tmp_path, {"data": [str(tmp_path / "patients")]})
    return tmp_path


def write_split(folder, changes):
    split = {"train": ["0001", "0002"], "validation": ["0003"], "test": ["0004"], **changes}
    (folder / "run" / "split.json").write_text(json.dumps(split))


def exported(folder, *, validation, test):
    """The patients that set the thresholds, how many, and those that were measured."""
    options = ["--validation", str(folder / validation), "--test", str(folder / test), "--version", "1"]
    assert main([str(folder / "run"), *options, "--out", str(folder / "out")]) == 0
    measured = json.loads((folder / "out" / "evaluation" / "evaluation.json").read_text())["subsets"]["FLAIR"]["each"]
    return load(folder / "out").card.threshold_rule.split(";")[0], [one["name"] for one in measured]


def test_of_the_folder_that_trained_only_those_kept_from_training_are_taken(trained):
    answer = exported(trained, validation="patients", test="patients")
    assert answer == ("pooled on 1 validation patients, none above .9", ["patients/0004"])


def test_so_they_are_by_another_way_to_the_folder_or_to_its_patients(trained):
    (trained / "link").symlink_to(trained / "patients")
    (trained / "links").mkdir()
    for seed in (1, 3, 4):
        (trained / "links" / f"p{seed}").symlink_to(trained / "patients" / f"{seed:04d}")
    answer = exported(trained, validation="link", test="links")
    assert answer == ("pooled on 1 validation patients, none above .9", ["links/p4"])


@pytest.mark.parametrize("data", [{}, {"data": ["/moved/away"]}])
def test_a_run_that_does_not_know_its_folder_is_told_by_the_names_of_its_patients(trained, data):
    write_split(trained, data)
    answer = exported(trained, validation="patients", test="patients")
    assert answer == ("pooled on 1 validation patients, none above .9", ["patients/0004"])


@pytest.mark.parametrize("changes", [{"data": ["patients"]}, {"validation": ["val/0001"], "test": []}])
def test_patients_of_other_folders_are_all_taken_whatever_they_are_called(trained, changes, monkeypatch):
    """Those of a synthetic cohort are all called 0000, 0001 ...; an older run says only that others validated."""
    monkeypatch.chdir(trained)
    write_split(trained, changes)
    for seed in (1, 2, 3):
        write_patient(trained / "others", seed, slices=3, absent=(0, 1, 2))
    answer = exported(trained, validation="others", test="others")
    assert answer == ("pooled on 3 validation patients, none above .9", [f"others/000{seed}" for seed in (1, 2, 3)])


def test_a_folder_of_which_all_patients_trained_is_refused(trained, capsys):
    write_split(trained, {"data": [str(trained / "patients")], "test": []})
    options = ["--validation", str(trained / "patients"), "--test", str(trained / "patients"), "--version", "1"]
    assert main([str(trained / "run"), *options, "--out", str(trained / "out")]) == 2
    assert "trained on these patients and kept none for the test: give others, or train" in capsys.readouterr().err


def test_patients_that_chose_the_weights_give_thresholds_and_no_metrics(trained, capsys):
    """Those of --validate-on, by any way to them."""
    chosen = {"data": [str(trained / "elsewhere")], "validate_on": [str(trained / "val")], "test": []}
    write_split(trained, chosen)
    write_patient(trained / "val", 1, slices=3, absent=(0, 1, 2))
    (trained / "link").symlink_to(trained / "val")
    (trained / "mixed").mkdir()
    (trained / "mixed" / "a").symlink_to(trained / "val" / "0001")
    (trained / "mixed" / "b").symlink_to(trained / "patients" / "0004")
    assert exported(trained, validation="val", test="mixed") == (
        "pooled on 1 validation patients, none above .9",
        ["mixed/b"],
    )
    options = ["--validation", str(trained / "val"), "--test", str(trained / "link"), "--version", "1"]
    assert main([str(trained / "run"), *options, "--out", str(trained / "out2")]) == 2
    assert "validated on these patients (--validate-on): give others for the test" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"train": []}'])
def test_a_broken_split_is_one_plain_line(trained, capsys, text):
    (trained / "run" / "split.json").write_text(text)
    options = ["--validation", str(trained / "patients"), "--version", "1", "--out", str(trained / "out")]
    assert main([str(trained / "run"), *options]) == 2
    assert "run/split.json is no split" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--out", "file/out"], ["--out", "out", "--test", "val", "--report", "file/out"]])
def test_a_folder_that_cannot_be_made_is_found_before_the_work(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    random_weights(tmp_path / "run")
    assert main(["run", "--validation", "val", "--version", "1", *options]) == 2
    assert capsys.readouterr().err == f"training.export: {options[-2]} file/out cannot be made: Not a directory\n"


def test_thresholds_need_a_lesion(trained, capsys):
    np.save(trained / "patients" / "0003" / "mask.npy", np.zeros((3, 256, 256), dtype=np.uint8))
    options = ["--validation", str(trained / "patients"), "--version", "1", "--out", str(trained / "out")]
    assert main([str(trained / "run"), *options]) == 2
    assert "no validation patient has a lesion" in capsys.readouterr().err


def test_what_the_comparator_does_not_read_has_neither_threshold_nor_metrics_of_its_own(tmp_path):
    random_weights(tmp_path / "run", sequences=SEQUENCES[1:], subset_law=SubsetLaw.NONE)
    write_patient(tmp_path / "val", 1, slices=3, absent=(1, 2))
    options = ["--validation", str(tmp_path / "val"), "--test", str(tmp_path / "val"), "--version", "1"]
    assert main([str(tmp_path / "run"), *options, "--out", str(tmp_path / "out")]) == 0
    card = load(tmp_path / "out").card
    assert set(card.expected) == {"BRAVO+FLAIR", "FLAIR"}
    assert ", BRAVO," in card.threshold_rule


def test_a_subset_that_nobody_had_borrows_from_its_neighbour():
    card = with_thresholds(random_card(), {"POST_CUBE+FLAIR": 0.3, "FLAIR": 0.7}, "rule")
    assert card.thresholds["PRE_CUBE+POST_CUBE+FLAIR"] == 0.3
    assert card.thresholds["FLAIR"] == 0.7
    assert "BRAVO+FLAIR" in card.threshold_rule


def test_no_weights_is_one_plain_line(tmp_path, capsys):
    write_patient(tmp_path / "val", 1, slices=4)
    assert main([str(tmp_path), "--validation", str(tmp_path / "val"), "--out", str(tmp_path), "--version", "1"]) == 2
    assert f"{tmp_path} holds no weights" in capsys.readouterr().err


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mirror", "mean over the stack and its left-right mirror image"),
        ("mirror_objects", "About what it gives .5 and more, the mean with the answer to the mirror image counts"),
        ("half_scale", "completes objects from 1.4 ml"),
        ("crop_to_head", "It looks at the box about the head in each slice only."),
    ],
)
def test_the_card_says_what_else_answers(name, words, looks):
    assert (words in model_card(random_card(**{name: looks}))) is looks


@pytest.mark.parametrize(("patients", "said"), [((20.0, 20.0), False), ((10.0, 20.0), True)])
def test_the_card_says_which_rows_are_not_to_be_compared(patients, said):
    """Subsets with BRAVO may be of fewer people than those without."""
    names = ("BRAVO+PRE_CUBE+POST_CUBE", "PRE_CUBE+POST_CUBE")
    expected = {name: {"dice": 0.5, "patients": count} for name, count in zip(names, patients, strict=True)}
    text = model_card(replace(random_card(), expected=expected))
    assert ("Rows of different numbers of patients are not to be compared" in text) is said


@pytest.mark.parametrize(
    "options", [["--out", "/proc/self"], ["--out", "out", "--test", "val", "--report", "/proc/self"]]
)
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    random_weights(tmp_path / "run")
    assert main(["run", "--validation", "val", "--version", "1", *options]) == 2
    said = capsys.readouterr().err
    assert said == f"training.export: {options[-2]} /proc/self cannot be written: No such file or directory\n"


def test_the_try_leaves_nothing_in_the_folder(tmp_path):
    make(tmp_path / "new" / "out")
    assert list((tmp_path / "new" / "out").iterdir()) == []
