"""Data sets are read as users have them, onto the grid and with the orientation that they have."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from support.heads import rigid

from dicom_node.contract.slots import SequenceSlot
from training.cases import brainmetshare, challenge, layouts
from training.cases.case import CaseError, CaseFiles, load, read_nifti
from training.prepare import load_cached, open_source, prepare, write_cache

RAS = np.diag([1.0, 1.0, 1.0, 1.0])


def nifti(path: Path, voxels: np.ndarray, affine: np.ndarray = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32), affine), path)
    return path


def head(shape: tuple[int, int, int] = (60, 64, 48), value: float = 100.0) -> np.ndarray:
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    centre = [n / 2 for n in shape]
    inside = sum(((axis - c) / (0.8 * c)) ** 2 for axis, c in zip((x, y, z), centre, strict=True)) < 1
    return np.where(inside, value, 0.0)


def lesion(shape: tuple[int, int, int] = (60, 64, 48)) -> np.ndarray:
    mask = np.zeros(shape)
    mask[20:26, 30:36, 25:31] = 1
    return mask


def test_brainmetshare_nifti_is_read_with_what_is_there(tmp_path: Path) -> None:
    for name in ("bravo", "t1_gd", "flair"):
        nifti(tmp_path / "train" / "Mets_001" / f"{name}.nii.gz", head())
    nifti(tmp_path / "train" / "Mets_001" / "seg.nii.gz", lesion())
    nifti(tmp_path / "train" / "Mets_002" / "flair.nii.gz", head())
    found = brainmetshare.list_nifti(tmp_path)
    assert [case.name for case in found] == ["Mets_001", "Mets_002"]
    assert list(found[0].sequences) == [SequenceSlot.BRAVO, SequenceSlot.POST_CUBE, SequenceSlot.FLAIR]
    assert found[1].mask is None
    case = load(found[0])
    assert case.reference is SequenceSlot.BRAVO
    assert case.truth is not None
    assert case.truth.sum() == 216


def test_the_truth_lies_where_it_lay_in_patient_millimetres(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = (30, -20, 5)
    files = CaseFiles(
        name="a",
        sequences={SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head(), affine)},
        mask=nifti(tmp_path / "seg.nii.gz", lesion(), affine),
    )
    case = load(files)
    assert case.truth is not None
    centroid = case.volumes[SequenceSlot.FLAIR].grid.to_mm(np.argwhere(case.truth).mean(axis=0))
    ras = affine @ np.array([22.5, 32.5, 27.5, 1])
    np.testing.assert_allclose(centroid, ras[:3] * (-1, -1, 1), atol=1e-6)


def test_a_mask_on_a_foreign_grid_is_refused_by_name(tmp_path: Path) -> None:
    files = CaseFiles(
        name="a",
        sequences={SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head())},
        mask=nifti(tmp_path / "seg.nii.gz", lesion((60, 64, 47))),
    )
    with pytest.raises(CaseError, match=r"seg\.nii\.gz lies on the grid of none"):
        load(files)


def test_a_file_that_is_no_nifti_is_named(tmp_path: Path) -> None:
    (tmp_path / "flair.nii.gz").write_bytes(b"nothing")
    with pytest.raises(CaseError, match=r"flair\.nii\.gz cannot be read"):
        load(CaseFiles(name="a", sequences={SequenceSlot.FLAIR: tmp_path / "flair.nii.gz"}, mask=None))


def test_brainmetshare_png_slices_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("0", "3", "seg"):
        folder = tmp_path / "Mets_005" / name
        folder.mkdir(parents=True)
        for number in (2, 10, 1):
            level = (255 if number == 10 else 0) if name == "seg" else number
            Image.fromarray(np.full((256, 256), level, np.uint8)).save(folder / f"{number}.png")
    (folder_of_patient,) = brainmetshare.list_png(tmp_path)
    case = brainmetshare.load_png(folder_of_patient)
    assert [float(z[0, 0]) for z in case.volumes[SequenceSlot.BRAVO].voxels] == [1, 2, 10]
    assert case.truth is not None
    assert case.truth.any(axis=(1, 2)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("prefix", "names", "labels"),
    [
        ("BraTS-MET-00086-000", ("-t1n", "-t1c", "-t2f", "-seg"), (1, 3)),
        ("Brats18_TCIA_1", ("_t1", "_t1ce", "_flair", "_seg"), (1, 4)),
    ],
)
def test_brats_core_is_the_target_and_the_user_says_what_post_gd_is(
    tmp_path: Path, prefix: str, names: tuple[str, ...], labels: tuple[int, ...]
) -> None:
    for name in names:
        nifti(tmp_path / prefix / f"{prefix}{name}.nii.gz", head())
    (case,) = challenge.list_brats(tmp_path, challenge.SlotChoice(post=SequenceSlot.POST_CUBE))
    assert list(case.sequences) == [SequenceSlot.PRE_CUBE, SequenceSlot.POST_CUBE, SequenceSlot.FLAIR]
    assert case.lesion_labels == labels
    (without,) = challenge.list_brats(tmp_path, challenge.SlotChoice(use_pre=False))
    assert list(without.sequences) == [SequenceSlot.BRAVO, SequenceSlot.FLAIR]


def test_ucsf_and_bids_layouts(tmp_path: Path) -> None:
    for name in ("T1pre", "T1post", "FLAIR", "seg"):
        nifti(tmp_path / "ucsf" / "100101A" / f"100101A_{name}.nii.gz", head())
    (case,) = challenge.list_ucsf(tmp_path / "ucsf", challenge.SlotChoice())
    assert set(case.sequences) == {SequenceSlot.BRAVO, SequenceSlot.PRE_CUBE, SequenceSlot.FLAIR}
    anatomy = tmp_path / "bids" / "sub-01" / "anat"
    for name in ("sub-01_T1w", "sub-01_ce-gadolinium_T1w", "sub-01_FLAIR"):
        nifti(anatomy / f"{name}.nii.gz", head())
    nifti(tmp_path / "bids" / "derivatives" / "manual" / "sub-01" / "anat" / "sub-01_mask.nii.gz", lesion())
    (subject,) = challenge.list_bids(tmp_path / "bids", challenge.SlotChoice())
    assert subject.sequences[SequenceSlot.BRAVO].name == "sub-01_ce-gadolinium_T1w.nii.gz"
    assert subject.mask is not None


@pytest.mark.parametrize("kind", layouts.KINDS)
def test_an_empty_folder_is_refused_with_what_was_looked_for(kind: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"no "):
        open_source(kind, tmp_path)


@pytest.mark.parametrize("kind", layouts.KINDS)
def test_a_folder_that_is_not_there_is_said_to_be_none(kind: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="nowhere: there is no such folder"):
        open_source(kind, tmp_path / "nowhere")


def test_real_patients_come_into_a_cache_by_prepare(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"no \*/stack.npy: `python -m training.prepare` .* from NIfTI"):
        open_source("cache", tmp_path)


def test_a_prepared_patient_survives_the_cache(tmp_path: Path) -> None:
    files = CaseFiles(
        name="p1",
        sequences={
            SequenceSlot.POST_CUBE: nifti(tmp_path / "post.nii.gz", head()),
            SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head(value=50)),
        },
        mask=nifti(tmp_path / "seg.nii.gz", lesion()),
    )
    patient = prepare(load(files))
    assert patient.present == (False, False, True, True)
    assert patient.stack.shape[0] == 4
    assert not patient.stack[0].any()
    cached = load_cached(write_cache(patient, tmp_path / "cache"))
    assert cached.present == patient.present
    np.testing.assert_allclose(cached.stack, patient.stack, rtol=2e-3)
    assert cached.truth is not None
    volume = cached.truth.sum() * cached.grid.voxel_volume_mm3
    assert volume == pytest.approx(216, rel=0.25)


def test_examinations_of_one_person_share_the_subject(tmp_path: Path) -> None:
    for name in ("BraTS-MET-00012-000", "BraTS-MET-00012-001", "BraTS-MET-00013-000"):
        nifti(tmp_path / "brats" / name / f"{name}-t1c.nii.gz", head())
    nifti(tmp_path / "brats" / "Brats18_TCIA_1" / "Brats18_TCIA_1_t1ce.nii.gz", head())
    for name in ("100101A", "100101B", "100102"):
        nifti(tmp_path / "ucsf" / name / f"{name}_T1post.nii.gz", head())
    for folder, name in (("sub-01/ses-01", "sub-01_ses-01"), ("sub-01/ses-02", "sub-01_ses-02"), ("sub-02", "sub-02")):
        nifti(tmp_path / "bids" / folder / "anat" / f"{name}_FLAIR.nii.gz", head())
    nifti(tmp_path / "mets" / "Mets_001" / "flair.nii.gz", head())
    choice = challenge.SlotChoice()
    found = [
        *challenge.list_brats(tmp_path / "brats", choice),
        *challenge.list_ucsf(tmp_path / "ucsf", choice),
        *challenge.list_bids(tmp_path / "bids", choice),
        *challenge.list_bids(tmp_path / "bids" / "sub-02", choice),
        *brainmetshare.list_nifti(tmp_path / "mets"),
    ]
    assert [(case.name, load(case).subject) for case in found] == [
        ("BraTS-MET-00012-000", "BraTS-MET-00012"),
        ("BraTS-MET-00012-001", "BraTS-MET-00012"),
        ("BraTS-MET-00013-000", "BraTS-MET-00013"),
        ("Brats18_TCIA_1", "Brats18_TCIA_1"),
        ("100101A", "100101"),
        ("100101B", "100101"),
        ("100102", "100102"),
        ("sub-01_ses-01", "sub-01"),
        ("sub-01_ses-02", "sub-01"),
        ("sub-02", "sub-02"),
        ("sub-02", "sub-02"),
        ("Mets_001", "Mets_001"),
    ]


def damaged(path: Path, place: float) -> None:
    """One byte of the compressed stream is another."""
    raw = bytearray(path.read_bytes())
    raw[int(place * len(raw))] ^= 0xFF
    path.write_bytes(raw)


NOISE = np.random.default_rng(0).normal(100, 20, (60, 64, 48))
SHEARED = np.array([[1.0, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("place", [0.0, 0.3, 0.99, -4], ids=["start", "middle", "end", "sum"])
def test_a_damaged_gzip_stream_is_named_wherever_the_damage_is(place: float, tmp_path: Path) -> None:
    path = nifti(tmp_path / "flair.nii.gz", NOISE)
    damaged(path, place if place >= 0 else 1 + place / path.stat().st_size)
    with pytest.raises(CaseError, match=r"flair\.nii\.gz cannot be read as NIfTI"):
        read_nifti(path)


def test_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    for name in ("a.nii", "a.nii.gz"):
        path = nifti(tmp_path / name, NOISE)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(CaseError, match=f"{name} cannot be read as NIfTI"):
            read_nifti(path)


@pytest.mark.parametrize(
    ("voxels", "affine", "words"),
    [
        (np.zeros((4, 4, 4), dtype=np.complex64), RAS, "holds complex64, one real number a voxel is needed"),
        (np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), RAS, "one real number a voxel is needed"),
        (np.full((4, 4, 4), np.nan, dtype=np.float32), RAS, "no finite numbers"),
        (np.full((4, 4, 4), 1e300), RAS, "no finite numbers"),
        (np.zeros((4, 4), dtype=np.float32), RAS, "has 2 dimensions"),
        (np.ones((4, 4, 4), dtype=np.float32), np.zeros((4, 4)), "has no usable affine"),
        (np.ones((4, 4, 4), dtype=np.float32), np.full((4, 4), np.nan), "has no usable affine"),
        (np.ones((4, 4, 4), dtype=np.float32), SHEARED, "has a sheared affine"),
    ],
)
def test_a_nifti_that_is_no_scan_is_refused_by_name(
    voxels: np.ndarray, affine: np.ndarray, words: str, tmp_path: Path
) -> None:
    header = nibabel.Nifti1Header()
    header.set_sform(affine, code=1)
    nibabel.save(nibabel.Nifti1Image(voxels, None, header, dtype=voxels.dtype), tmp_path / "t1.nii.gz")
    with pytest.raises(CaseError, match=rf"t1\.nii\.gz .*{words}"):
        read_nifti(tmp_path / "t1.nii.gz")


def test_an_oblique_affine_as_float32_rounds_it_is_read(tmp_path: Path) -> None:
    turned = rigid((3, 4, 5), (7, -12, 20)) @ np.diag([0.9, 0.9, 1.2, 1])
    image = read_nifti(nifti(tmp_path / "t1.nii.gz", head(), np.round(turned, 4)))
    np.testing.assert_allclose(image.grid.spacing_mm_xyz, (0.9, 0.9, 1.2), atol=1e-3)


def masked(folder: Path, labels: np.ndarray, **others: Any) -> CaseFiles:
    flair = nifti(folder / "flair.nii.gz", head())
    mask = nifti(folder / "seg.nii.gz", labels)
    return CaseFiles(name="a", sequences={SequenceSlot.FLAIR: flair}, mask=mask, **others)


def test_a_mask_with_none_of_the_labels_is_refused_with_those_it_has(tmp_path: Path) -> None:
    files = masked(tmp_path, lesion() * 255)
    with pytest.raises(CaseError, match=r"seg\.nii\.gz holds the labels 255 and none of 1, .*--labels"):
        load(files)
    truth = load(replace(files, lesion_labels=(255,))).truth
    assert truth is not None
    assert truth.sum() == 216


def test_all_labels_of_a_refused_mask_are_said(tmp_path: Path) -> None:
    """Known as oedema or not."""
    labels = lesion() + 2 * lesion()[::-1]
    labels[:4, :4, :4] = 3
    files = masked(tmp_path, labels, lesion_labels=(7,), other_labels=(2, 4))
    with pytest.raises(CaseError, match=r"holds the labels 1, 2, 3 and none of 7"):
        load(files)


def test_a_mask_without_lesions_is_no_fault_where_its_labels_are_known(tmp_path: Path) -> None:
    oedema = load(masked(tmp_path, lesion() * 2, lesion_labels=(1, 3), other_labels=(2, 4)))
    nothing = load(masked(tmp_path, lesion() * 0))
    for case in (oedema, nothing):
        assert case.truth is not None
        assert not case.truth.any()
        assert case.unread_labels == ()


def test_labels_that_nobody_knows_are_reported(tmp_path: Path) -> None:
    labels = lesion()
    labels[:4, :4, :4] = 7
    assert load(masked(tmp_path, labels)).unread_labels == (7,)


def test_masks_of_brainmetshare_are_read_in_whatever_number_they_are_written(tmp_path: Path) -> None:
    nifti(tmp_path / "Mets_001" / "flair.nii.gz", head())
    nifti(tmp_path / "Mets_001" / "seg.nii.gz", lesion() * 255)
    (files,) = brainmetshare.list_nifti(tmp_path)
    truth = load(files).truth
    assert truth is not None
    assert truth.sum() == 216
    with pytest.raises(CaseError, match="none of 1"):
        load(brainmetshare.list_nifti(tmp_path, labels=(1,))[0])


@pytest.mark.parametrize(("text", "labels"), [("1,3", (1, 3)), ("255", (255,)), ("all", ())])
def test_labels_are_given_as_a_list(text: str, labels: tuple[int, ...]) -> None:
    assert challenge.label_list(text) == labels


@pytest.mark.parametrize("text", ["0", "1,", "one", ""])
def test_what_is_no_list_of_labels_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(0 is|invalid literal)"):
        challenge.label_list(text)


def test_a_sequence_of_zeros_is_absent_and_gives_no_grid(tmp_path: Path) -> None:
    files = masked(tmp_path, lesion())
    empty = nifti(tmp_path / "bravo.nii.gz", np.zeros((30, 30, 30)))
    case = load(replace(files, sequences={SequenceSlot.BRAVO: empty, **files.sequences}))
    assert set(case.volumes) == {SequenceSlot.FLAIR}
    assert (case.reference, case.left_out) == (
        SequenceSlot.FLAIR,
        {SequenceSlot.BRAVO: "it holds zeros only"},
    )


def test_png_slices_of_two_sizes_are_refused_by_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Mets_005" / "0"
    folder.mkdir(parents=True)
    for number, size in enumerate((256, 128)):
        Image.fromarray(np.ones((size, size), np.uint8)).save(folder / f"{number}.png")
    with pytest.raises(CaseError, match="0 holds slices of different sizes"):
        brainmetshare.load_png(tmp_path / "Mets_005")
