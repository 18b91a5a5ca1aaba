"""The heads of the study: one that trains never tests."""

import json

import pytest
from support.patients import write_patient
from support.study import label_maps, small

from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.cohort.whole import is_whole
from training.errors import TrainingError
from training.heads import share_heads

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


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
