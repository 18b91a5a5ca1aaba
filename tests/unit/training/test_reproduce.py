"""The study: a head that trains never tests, and the table tells what was done."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.patients import write_patient
from support.weights import random_card, random_weights

from model.card import to_json
from model.channels import SEQUENCES
from model.checkpoint import CARD_FILE
from model.input_dropout import SubsetLaw
from training import reproduce
from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.cohort.whole import is_whole
from training.configuration import from_json
from training.errors import TrainingError
from training.heads import share_heads

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


def one_by_one(command):
    """In the place of commands side by side."""
    return lambda module, arguments: [command(module, *given) for given in arguments.values()]


@pytest.fixture
def called(monkeypatch):
    """The commands that the study calls; here each makes at once what it would make in hours: small and random."""
    calls = []

    def command(module, *arguments):
        calls.append((module, *arguments))
        out = Path(_option(arguments, "--out"))
        if module == "training.cohort" and not out.exists():
            for seed in (1, 2):
                write_patient(out, seed, slices=2, absent=(0,) * (out.name in ("validation", "test")))
        if module == "training.train" and not (out / "state.pt").exists():
            comparator = {"sequences": SEQUENCES[1:], "subset_law": SubsetLaw.NONE}
            changes = comparator if "--without-dropout" in arguments else {}
            changes["architecture"] = _option(arguments, "--architecture")
            random_weights(out / "weights", configuration={"steps": 120}, **changes)
            steps = int(_option(arguments, "--steps"))
            (out / "split.json").write_text(json.dumps({"train": ["0001", "0002"], "validation": ["0001", "0002"]}))
            torch.save({"step": steps}, out / "state.pt")

    monkeypatch.setattr(reproduce, "_command", command)
    monkeypatch.setattr(reproduce, "_commands", one_by_one(command))
    monkeypatch.setattr(reproduce, "all_subsets", lambda: [reproduce.WITHOUT_BRAVO])
    return calls


@pytest.fixture
def two_cores(monkeypatch):
    """And no GPU, whatever there is."""
    monkeypatch.setattr(reproduce.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(reproduce.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


def small(out, *options):
    """The small study as a user starts it, but without its largest network unless the options name one."""
    return reproduce.main(["--small", "--out", str(out), "--deeplab", "none", *(str(option) for option in options)])


def label_maps(folder, numbers):
    """Empty ones: what they are called is all that is read."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number:02d}.nii.gz").touch()
    return folder


def a_report(folder):
    """What a later study needs of an earlier one, without numbers in it."""
    for part in reproduce.PARTS:
        write_patient(folder / "cohort" / part, 1, slices=2)
    for name in reproduce.RUNS.values():
        weights = folder / "runs" / name / "weights"
        weights.mkdir(parents=True)
        architecture = reproduce.SMALL.deeplab if name == "deeplab" else reproduce.SMALL.architecture
        (weights / CARD_FILE).write_text(to_json(random_card(architecture=architecture)))
    return folder


def heads(folder):
    return {share.name: sorted(path.name for path in share.iterdir()) for share in folder.iterdir()}


def test_label_maps_that_come_later_take_no_head_from_training_to_the_test(tmp_path):
    """Ten, then ten more that sort before them, into one folder: no link of the first division stays."""
    maps = label_maps(tmp_path / "maps", range(10, 20))
    share_heads(maps, tmp_path / "out")
    folders = share_heads(label_maps(maps, range(10)), tmp_path / "out")
    named = heads(tmp_path / "out")
    assert {share: len(names) for share, names in named.items()} == {"train": 14, "validation": 2, "test": 4}
    assert len({name for names in named.values() for name in names}) == 20
    moved = tmp_path / "meta.json"
    moved.write_text(json.dumps({"seed": 1, "site": "A", "source": "16.nii.gz"}))  # trained in the first division
    with pytest.raises(TrainingError, match="holds another patient"):
        is_whole(moved, 1, Site.A, Options(anatomy=folders["train"]))


@pytest.mark.parametrize("stands", ["patients", "networks"])
def test_a_study_whose_heads_would_move_is_refused(tmp_path, called, capsys, stands):
    """Networks that stand would be tested on heads that they trained on, though their patients were made anew."""
    maps = label_maps(tmp_path / "maps", range(10, 20))
    share_heads(maps, tmp_path / "out" / "anatomy")
    before = heads(tmp_path / "out" / "anatomy")
    if stands == "patients":
        write_patient(tmp_path / "out" / "cohort" / "train", 1, slices=2)
    else:
        (tmp_path / "out" / "cohort").mkdir()
        (tmp_path / "out" / "runs" / "ild").mkdir(parents=True)
        (tmp_path / "out" / "runs" / "ild" / "state.pt").touch()
    for options in (["--anatomy", label_maps(maps, range(10))], []):
        assert small(tmp_path / "out", *options) == 1
        said = capsys.readouterr().err
        assert "heads divided otherwise" in said
        assert "another --out, or remove anatomy/, cohort/ and runs/ there" in said
        assert heads(tmp_path / "out" / "anatomy") == before
    assert called == []


def test_a_folder_of_shares_holds_links_only(tmp_path):
    """A label map that somebody laid there would be a head of both shares; it is not ours to remove."""
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "mine.nii.gz").touch()
    with pytest.raises(TrainingError, match=r"mine\.nii\.gz is none of the links"):
        share_heads(label_maps(tmp_path / "maps", range(10)), tmp_path / "out")


def test_heads_are_shared_out_without_overlap(tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for number in range(20):
        (maps / f"{number:02d}.nii.gz").touch()
    folders = share_heads(maps, tmp_path / "out")
    named = {share: sorted(path.name for path in folder.iterdir()) for share, folder in folders.items()}
    assert {share: len(names) for share, names in named.items()} == {"train": 14, "validation": 2, "test": 4}
    assert len({name for names in named.values() for name in names}) == 20
    assert share_heads(maps, tmp_path / "out") == folders


def test_without_label_maps_there_is_nothing_to_share(tmp_path):
    assert share_heads(None, tmp_path) == {}


def test_two_heads_are_too_few(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.nii.gz").touch()
    with pytest.raises(ValueError, match="three are the least"):
        share_heads(tmp_path, tmp_path / "out")


@pytest.mark.usefixtures("two_cores")
def test_a_later_study_goes_on_from_the_networks_and_patients_of_an_earlier(tmp_path, monkeypatch):
    first = tmp_path / "first"
    for folder in ("cohort", "runs"):
        (first / folder).mkdir(parents=True)
    called = []
    monkeypatch.setattr(reproduce, "_command", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(reproduce, "_commands", one_by_one(reproduce._command))
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    study = replace(reproduce.SMALL, configuration=tmp_path / "settings.json", start_from=first, mirror=True)
    networks = reproduce.networks(study, first / "cohort", tmp_path / "out")
    assert all(network.card.mirror for network in networks.values())
    assert [arguments[0] for arguments in called] == ["training.train"] * 3
    for name, arguments in zip(("comparator", "ild", "deeplab"), called, strict=True):
        assert _option(arguments, "--data") == str(first / "cohort" / "train")
        assert _option(arguments, "--start-from") == str(first / "runs" / name / "weights")
        assert _option(arguments, "--out") == str(tmp_path / "out" / "runs" / name)
        assert _option(arguments, "--configuration") == str(tmp_path / "settings.json")
        assert _option(arguments, "--steps-per-epoch") == str(reproduce.SMALL.steps // 4)
    assert ["--without-dropout" in arguments for arguments in called] == [True, False, True]
    architectures = [_option(arguments, "--architecture") for arguments in called]
    assert architectures == ["quartet_light", "quartet_light", "deeplabv3_mobilenet_v3_large"]


@pytest.mark.parametrize(("gpu", "cores", "abreast", "threads"), [(False, 6, 2, 3), (False, 1, 0, 0), (True, 6, 0, 0)])
def test_networks_train_side_by_side_where_cores_are_theirs_alone(
    tmp_path, monkeypatch, called, gpu, cores, abreast, threads
):
    """A GPU is best kept busy by one, and DeepLab V3 takes longer than both others."""
    monkeypatch.setattr(reproduce.torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(reproduce.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    together = []
    side_by_side = reproduce._commands
    monkeypatch.setattr(reproduce, "_commands", lambda m, a: (together.extend(a), side_by_side(m, a)))
    cohort = tmp_path / "cohort"
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    found = reproduce.networks(reproduce.SMALL, cohort, tmp_path / "out")
    assert list(found) == ["DeepLab V3", "without dropout", "ILD"]
    assert together == ["comparator", "ild"][:abreast]
    assert sorted(Path(_option(arguments, "--out")).name for arguments in called) == ["comparator", "deeplab", "ild"]
    given = [_option(arguments, "--threads") for arguments in called if "--threads" in arguments]
    assert given == [str(threads)] * abreast


@pytest.mark.usefixtures("two_cores")
def test_a_network_that_is_finished_leaves_the_cores_to_the_other(tmp_path, monkeypatch, called):
    study, out = replace(reproduce.SMALL, deeplab=None), tmp_path / "out"
    (out / "runs" / "ild").mkdir(parents=True)
    (out / "runs" / "comparator").mkdir()
    torch.save({"step": study.steps}, out / "runs" / "comparator" / "state.pt")
    torch.save({"step": study.steps // 2}, out / "runs" / "ild" / "state.pt")
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    reproduce.networks(study, tmp_path / "cohort", out)
    assert [Path(_option(arguments, "--out")).name for arguments in called] == ["comparator", "ild"]
    assert not any("--threads" in arguments for arguments in called)


def test_a_broken_state_is_one_plain_line(tmp_path, called, capsys):
    assert small(tmp_path) == 0
    (tmp_path / "runs" / "comparator" / "state.pt").write_bytes(b"torn")
    assert small(tmp_path) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"training.reproduce: a step failed ({tmp_path / 'runs' / 'comparator' / 'state.pt'} is no state"
    )
    assert said.endswith("remove it to begin anew)\n")


def test_a_killed_training_is_named_with_its_likely_cause(tmp_path, monkeypatch, called, capsys):
    """It had no time to say why itself."""
    codes = {"comparator": 0, "ild": -9}
    monkeypatch.setattr(reproduce, "_commands", lambda module, _: reproduce._require_success(module, codes))
    assert small(tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "training.train of ild was killed, as happens for want of memory: the same line goes on" in said


def test_ctrl_c_says_that_the_same_line_goes_on(tmp_path, monkeypatch, called, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "_command", interrupted)
    assert small(tmp_path / "out") == 130
    assert capsys.readouterr().err == (
        f"training.reproduce: stopped; the same line goes on with what stands in {tmp_path / 'out'}\n"
    )


def test_the_settings_of_the_study_come_with_the_package():
    settings = from_json(reproduce.SETTINGS.read_text())
    assert (settings.architecture, settings.steps) == (reproduce.PAPER.architecture, reproduce.PAPER.steps)
    assert settings.steps_per_epoch == reproduce.PAPER.steps // reproduce.VALIDATIONS


def test_a_report_that_went_on_can_be_gone_on_from(tmp_path, called, capsys):
    """With the patients of the first, to which each later one refers; those that lie together can be moved together."""
    reports = tmp_path / "reports"
    assert small(reports / "first") == 0
    assert small(reports / "second", "--start-from", reports / "first") == 0
    assert ", after those of an earlier study" in (reports / "second" / "table.md").read_text()
    assert json.loads((reports / "second" / "origin.json").read_text()) == {
        "cohort": "../first/cohort",
        "start_from": "../first",
    }
    moved = reports.rename(tmp_path / "moved")
    called.clear()
    assert small(moved / "third", "--start-from", moved / "second") == 0
    assert [arguments[0] for arguments in called] == ["training.train"] * 2
    assert all(_option(arguments, "--data") == str(moved / "first" / "cohort" / "train") for arguments in called)
    (moved / "first").rename(tmp_path / "elsewhere")
    assert small(tmp_path / "fourth", "--start-from", moved / "third") == 1
    said = capsys.readouterr().err
    assert f"its patients lay in {moved / 'first' / 'cohort'}, which is gone" in said
    assert str(moved / "third" / "origin.json") in said


def test_networks_that_began_otherwise_are_not_said_to_go_on(tmp_path, called, capsys):
    """Training goes on with what stands in the folder, whatever --start-from says; the table would tell of another."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert small(first) == small(second, "--start-from", first) == 0
    assert small(first) == small(second, "--start-from", first) == 0
    a_report(tmp_path / "alone")
    tables = [(folder / "table.md").read_bytes() for folder in (first, second)]
    called.clear()
    for out, options, words in (
        (first, ["--start-from", first], f"--start-from {first} is --out itself"),
        (first, ["--start-from", second], "began without --start-from"),
        (second, [], f"began with --start-from {first}"),
        (second, ["--start-from", tmp_path / "alone"], f"began with --start-from {first}"),
    ):
        assert small(out, *options) == 1
        assert words in capsys.readouterr().err
    assert called == []
    assert [(folder / "table.md").read_bytes() for folder in (first, second)] == tables


def test_networks_of_which_nothing_is_known_do_not_go_on(tmp_path, called, capsys):
    """A report of an earlier release that went on has neither patients nor a word of them."""
    (tmp_path / "runs" / "ild").mkdir(parents=True)
    (tmp_path / "runs" / "ild" / "state.pt").touch()
    assert small(tmp_path) == 1
    assert "no origin.json that says how they began: give another --out" in capsys.readouterr().err
    assert called == []


@pytest.mark.parametrize("gone", ["cohort/held-out", "cohort/validation", "runs/comparator/weights"])
def test_what_an_earlier_report_lacks_is_found_first(tmp_path, called, capsys, gone):
    a_report(tmp_path / "first")
    (tmp_path / "first" / gone).rename(tmp_path / "gone")
    assert small(tmp_path / "out", "--start-from", tmp_path / "first") == 1
    assert f"it lacks {tmp_path / 'first' / gone})" in capsys.readouterr().err
    assert called == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"cohort": 3, "start_from": null}'])
def test_an_origin_that_cannot_be_read_is_one_plain_line(tmp_path, capsys, content):
    (tmp_path / "origin.json").write_text(content)
    assert small(tmp_path / "out", "--start-from", tmp_path) == 1
    assert capsys.readouterr().err.startswith(f"training.reproduce: a step failed ({tmp_path / 'origin.json'} is no")


def test_label_maps_beside_the_patients_of_an_earlier_report_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        small(tmp_path / "out", "--start-from", tmp_path, "--anatomy", tmp_path)
    assert "argument --anatomy: with --start-from its patients serve" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["table.md", "study.json", "subsets/table.md"])
def test_a_full_disk_is_one_plain_line(tmp_path, called, capsys, name):
    """It names the file, and what lay there stays."""
    (tmp_path / "subsets").mkdir()
    (tmp_path / name).write_text("of an earlier study\n")
    (tmp_path / f"{name}.new").symlink_to("/dev/full")
    assert small(tmp_path) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"training.reproduce: {tmp_path / name} cannot be read or written (No space left on device): make room there "
        "or mend its rights, and give the same line again"
    )
    assert (tmp_path / name).read_text() == "of an earlier study\n"


def test_a_folder_that_is_no_report_is_one_plain_line(tmp_path, capsys):
    assert reproduce.main(["--small", "--start-from", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no report of this command" in capsys.readouterr().err


@pytest.mark.parametrize("went_on", [True, False])
def test_the_table_tells_of_the_networks_that_answer(went_on):
    """Whatever this call asked for: a run that stands in the folder may be another."""
    card = random_card(configuration={"steps": 120}, mirror=went_on)
    cards = {"ILD": card}
    split = {"train": ["a", "b", "c"], "validation": ["validation/a"], "test": []}
    told = reproduce.conditions(cards, split, 2, went_on=went_on)
    assert told.startswith(
        "3 patients of site A train; 1 of site B validate, 2 test, without BRAVO. "
        "quartet_light, with and without dropout: 120 steps"
    )
    cards["DeepLab V3"] = replace(card, architecture="deeplabv3_resnet50")
    told = reproduce.conditions(cards, split, 2, went_on=went_on)
    assert ". quartet_light, with and without dropout, and deeplabv3_resnet50: 120 steps each" in told
    assert ("after those of an earlier study, mean with the mirror image" in told) is went_on


def test_the_small_study_and_the_whole_have_folders_of_their_own():
    """In one folder the second would take the networks of the first."""
    folders = re.findall(r"training\.reproduce .*--out (\S+)", (Path(__file__).parents[3] / "Makefile").read_text())
    assert len(folders) == len(set(folders)) == 2


def test_no_steps_are_refused_before_anything_is_made(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        reproduce.main(["--small", "--steps", "0", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "0 is no whole number above 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "file/out"], "--out file/out cannot be made: Not a directory"),
        (["--out", "out", "--configuration", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--out", "out", "--configuration", "settings.json"], "settings.json: unknown in the configuration: stepz"),
        (["--out", "out", "--anatomy", "nowhere"], "--anatomy nowhere: no label maps (*.nii.gz) there"),
    ],
)
def test_what_cannot_be_used_is_one_plain_line(tmp_path, monkeypatch, called, capsys, options, words):
    """Before anything is made: the patients alone would take an hour."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "settings.json").write_text('{"stepz": 1}')
    assert reproduce.main(["--small", *options]) == 1
    assert capsys.readouterr().err == f"training.reproduce: a step failed ({words})\n"
    assert not (tmp_path / "out").exists()
    assert called == []


def test_an_unknown_architecture_is_refused_before_anything_is_made(tmp_path, called, capsys):
    with pytest.raises(SystemExit) as ended:
        small(tmp_path / "out", "--architecture", "unet")
    assert ended.value.code == 2
    assert "argument --architecture: invalid choice: 'unet'" in capsys.readouterr().err
    assert called == []
    assert not (tmp_path / "out").exists()


def test_a_report_without_deeplab_goes_on_without_it(tmp_path, called, capsys):
    """As those of earlier releases are."""
    a_report(tmp_path / "first")
    shutil.rmtree(tmp_path / "first" / "runs" / "deeplab")
    wanted = ["--start-from", tmp_path / "first", "--deeplab", reproduce.SMALL.deeplab]
    assert small(tmp_path / "out", *wanted) == 1
    assert "runs/deeplab/weights (--deeplab none does without that network)" in capsys.readouterr().err
    assert called == []
    assert small(tmp_path / "out", "--start-from", tmp_path / "first") == 0
    assert [Path(_option(arguments, "--out")).name for arguments in called] == ["comparator", "ild"]
    assert "DeepLab V3" not in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--deeplab", "deeplabv3_resnet50"], "DeepLab V3 is a deeplabv3_mobilenet_v3_large, not a deeplabv3_resnet50"),
        (["--architecture", "quartet_wide"], "without dropout is a quartet_light, not a quartet_wide"),
    ],
)
def test_networks_of_other_architectures_do_not_go_on(tmp_path, called, capsys, options, words):
    """Said before the first of them trains for hours."""
    a_report(tmp_path / "first")
    assert small(tmp_path / "out", "--start-from", tmp_path / "first", *options) == 1
    assert f"--start-from {tmp_path / 'first'}: its {words}: ask for the same" in capsys.readouterr().err
    assert called == []


def test_one_network_is_not_trained_twice_under_two_names(tmp_path, called, capsys):
    with pytest.raises(SystemExit):
        small(tmp_path, "--architecture", "deeplabv3_resnet50", "--deeplab", "deeplabv3_resnet50")
    assert "argument --deeplab: deeplabv3_resnet50 without dropout is trained already" in capsys.readouterr().err


def test_the_study_as_it_comes_compares_ild_with_both_networks(tmp_path, monkeypatch, called):
    """Its boxes show the thresholds of the rule that is said to be shown."""
    drawn = {}
    monkeypatch.setattr(reproduce.figures, "write_boxes", lambda scores, _: drawn.update(scores))
    assert small(tmp_path, "--deeplab", reproduce.SMALL.deeplab) == 0
    study = json.loads((tmp_path / "study.json").read_text())
    assert list(study) == ["DeepLab V3", "without dropout", "ILD"]
    for name, rules in study.items():
        assert list(rules) == ["youden", "dice", "one-se"]
        assert [one.dice for one in drawn[name]] == [one["dice"] for one in rules[reproduce.SHOWN]["each"]]
    table = (tmp_path / "table.md").read_text()
    assert "quartet_light, with and without dropout, and deeplabv3_mobilenet_v3_large: 120 steps each" in table
    for other in ("DeepLab V3", "without dropout"):
        assert table.count(f"| p, ILD and {other}, signed-rank |") == 3


@pytest.mark.usefixtures("two_cores")
def test_a_command_that_fails_ends_the_study(tmp_path, capfd):
    a_report(tmp_path / "first")
    assert small(tmp_path / "out", "--steps", "1", "--start-from", tmp_path / "first") == 1
    said = capfd.readouterr()
    for name in ("comparator", "ild"):
        missing = tmp_path / "first" / "runs" / name / "weights"
        assert [line for line in said.out.splitlines() if line.startswith(f"{name}: ") and str(missing) in line]
    assert said.err == "training.reproduce: a step failed (training.train of comparator and ild says why, above)\n"


def _option(arguments, name):
    return arguments[arguments.index(name) + 1]
