"""The study: a head that trains never tests."""

import pytest

from training.reproduce import share_heads


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
