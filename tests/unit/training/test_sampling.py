"""What training sees: the served normalisation, lesions in reach, the same batch for the same step."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from support.patients import write_patient

from model.channels import SEQUENCES, SLICES
from model.edge import EdgeRule
from model.input_dropout import SubsetLaw
from training.augment import augment
from training.configuration import Augmentation, Configuration, comparator
from training.errors import TrainingError
from training.patients import open_patient, open_patients
from training.sampling import Steps
from worker.inference.predict import Predictor
from worker.inference.windows import window

STILL = Augmentation(
    flip=0,
    rotation_deg=0,
    scale=(1, 1),
    anisotropy=0,
    misregistration_px=0,
    gain=(1, 1),
    gamma=(1, 1),
    contrast=(1, 1),
    bias=0,
    blur=0,
    coarse=0,
    thick=0,
    noise=0,
    misfiled=0,
    strip=0,
    mask_air=0,
)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patients")
    write_patient(folder, 1)
    write_patient(folder, 2, absent=(0,), site="B")
    return open_patients(folder)


def test_patients_know_their_lesions_sequences_and_site(patients):
    assert patients[0].available == (True,) * 4
    assert patients[1].available == (False, True, True, True)
    assert [patient.site for patient in patients] == ["A", "B"]
    for patient in patients:
        assert patient.lesions
        assert all(patient.mask[z, y, x] for voxels in patient.lesions for z, y, x in voxels)


def test_a_patient_is_a_person_unless_its_files_say_whose_exam_it_is(tmp_path):
    folder = write_patient(tmp_path, 1, slices=6)
    assert open_patient(folder).subject == "0001"
    (folder / "meta.json").write_text(json.dumps({"subject": "100101"}))
    assert open_patient(folder).subject == "100101"


def test_lesions_follow_a_mask_that_was_changed(tmp_path):
    folder = write_patient(tmp_path, 1, slices=6)
    mask = np.load(folder / "mask.npy")
    assert len(open_patient(folder).lesions) > 0
    np.save(folder / "mask.npy", np.zeros_like(mask))
    later = (folder / "index.json").stat().st_mtime + 2
    os.utime(folder / "mask.npy", (later, later))
    assert open_patient(folder).lesions == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"available": [true]}'])
def test_a_broken_index_is_made_anew(tmp_path, text):
    folder = write_patient(tmp_path, 1, slices=6)
    whole = open_patient(folder)
    (folder / "index.json").write_text(text)
    again = open_patient(folder)
    assert (again.references, again.head_zyx) == (whole.references, whole.head_zyx)


FILES = ("stack.npy", "mask.npy", "brain.npy")


def spoil(folder: Path, name: str, change) -> None:
    np.save(folder / name, change(np.load(folder / name)))


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array[..., 0, 0] = np.nan
    return array


SPOILED = {
    "truncated": (lambda f: os.truncate(f / "stack.npy", 5000), r"stack\.npy cannot be read"),
    "empty": (lambda f: os.truncate(f / "mask.npy", 0), r"mask\.npy cannot be read"),
    "pickled": (lambda f: np.save(f / "mask.npy", np.array([{}])), r"mask\.npy cannot be read"),
    "half as wide": (lambda f: [spoil(f, n, lambda a: a[..., ::2, ::2]) for n in ("stack.npy", "mask.npy")], "256"),
    "no slices": (lambda f: [spoil(f, n, lambda a: a[..., :0, :, :]) for n in FILES], r"stack \(4, 0, 256"),
    "a number": (lambda f: [np.save(f / n, 1.0) for n in ("stack.npy", "mask.npy")], "256"),
    "three sequences": (lambda f: spoil(f, "stack.npy", lambda a: a[:3]), r"stack \(3, 6, 256, 256\)"),
    "another brain": (lambda f: spoil(f, "brain.npy", lambda a: a[1:]), r"brain\.npy \(5, 256, 256\)"),
    "no image": (lambda f: spoil(f, "stack.npy", np.zeros_like), "is zero"),
    "not finite": (lambda f: spoil(f, "stack.npy", with_nan), "not finite"),
    "mask not finite": (lambda f: spoil(f, "mask.npy", with_nan), "not finite"),
    "meta cut off": (lambda f: (f / "meta.json").write_text('{"site'), r"meta\.json cannot be read"),
    "meta a list": (lambda f: (f / "meta.json").write_text("[]"), r"meta\.json cannot be read"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_files_that_cannot_be_a_patient_are_refused(tmp_path, fault):
    folder = write_patient(tmp_path, 1, slices=6)
    damage, words = SPOILED[fault]
    damage(folder)
    with pytest.raises(TrainingError, match=words) as refused:
        open_patient(folder)
    assert "0001" in str(refused.value)


def test_a_step_is_the_same_whoever_asks_for_it(patients):
    configuration = Configuration(batch=3, crop_px=64, full_share=0)
    first, again = Steps(patients, configuration)[5], Steps(patients, configuration)[5]
    assert torch.equal(first.inputs, again.inputs)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.inputs, Steps(patients, configuration)[6].inputs)
    assert not torch.equal(first.inputs, Steps(patients, configuration, rank=1)[5].inputs)


def test_training_sees_what_serving_computes(patients):
    """A whole slice without augmentation and dropout equals the served input."""
    patient = patients[0]
    configuration = Configuration(batch=2, crop_px=256, full_share=1, subset_law=SubsetLaw.NONE, augmentation=STILL)
    inputs = Steps([patient], configuration)[0].inputs.numpy()
    stack = np.asarray(patient.stack, dtype=np.float32)
    encoded = np.stack([configuration.normalisation.apply(volume) for volume in stack])
    served = np.stack([window(encoded, z, EdgeRule.ZEROS) for z in range(stack.shape[1])])
    for sample in inputs:
        assert np.abs(served - sample).max(axis=(1, 2, 3)).min() < 0.02  # resampled by nothing, in float32


def test_the_probability_to_stay_is_that_of_the_run(patients):
    configuration = Configuration(
        batch=8, crop_px=64, full_share=0, subset_law=SubsetLaw.BERNOULLI, keep_probability=(1e-9, 1, 1, 1)
    )
    filled = Steps([patients[0]], configuration)[0].inputs.unflatten(1, (4, SLICES)).abs().amax((2, 3, 4)) > 0
    assert filled.tolist() == [[False, True, True, True]] * 8


def test_the_second_half_of_a_run_may_keep_other_sequences(patients):
    law = {"subset_law": SubsetLaw.BERNOULLI, "keep_probability": (1e-9, 1, 1, 1)}
    both = Configuration(batch=2, crop_px=64, full_share=0, steps=7, late_keep_probability=(1, 1, 1e-9, 1), **law)
    batches = Steps([patients[0]], both)
    filled = [batches[n].inputs.unflatten(1, (4, SLICES)).abs().amax((0, 2, 3, 4)) > 0 for n in range(7)]
    assert [f.tolist() for f in filled] == [[False, True, True, True]] * 3 + [[True, True, False, True]] * 4


def test_crops_about_lesions_hold_lesions(patients):
    configuration = Configuration(batch=6, crop_px=96, lesion_share=1, full_share=0, augmentation=STILL)
    held = [Steps(patients, configuration)[n].target.amax((1, 2, 3)) for n in range(4)]
    assert torch.cat(held).mean() > 0.8


def test_whole_slices_keep_the_number_of_pixels(patients):
    configuration = Configuration(batch=16, crop_px=128, full_share=1)
    assert Steps(patients, configuration)[0].inputs.shape == (4, 20, 256, 256)


@pytest.mark.parametrize("crop", [208, 256])
def test_crops_may_be_as_large_as_the_slice(patients, crop):
    batch = Steps(patients, Configuration(batch=2, crop_px=crop, full_share=0))[0]
    assert batch.inputs.shape == (2, 20, crop, crop)
    assert batch.target.shape == (2, 1, crop, crop)


def test_sequences_drop_whole_and_the_missing_one_never_appears(patients):
    inputs = Steps([patients[1]], Configuration(batch=8, crop_px=64, full_share=0, lesion_share=1))[0].inputs
    filled = inputs.unflatten(1, (4, SLICES)).abs().amax((3, 4)) > 0
    assert not filled[:, 0].any()
    assert bool((filled[:, 1:].all(2) | ~filled[:, 1:].any(2)).all())


def test_what_is_left_is_scaled_as_the_paper_says(patients):
    """Of one patient, one slice and no augmentation: 4/n times what it is without dropout, for each n."""
    whole = Configuration(batch=1, crop_px=256, full_share=1, subset_law=SubsetLaw.NONE, augmentation=STILL)
    dropped = replace(whole, subset_law=SubsetLaw.UNIFORM, batch=24)
    patient = patients[0]
    stack = np.asarray(patient.stack, dtype=np.float32)
    encoded = np.stack([whole.normalisation.apply(volume) for volume in stack])
    served = np.stack([window(encoded, z, EdgeRule.ZEROS) for z in range(stack.shape[1])])
    seen = set()
    for step in range(3):
        for sample in Steps([patient], dropped)[step].inputs.unflatten(1, (4, SLICES)).numpy():
            kept = sample.any(axis=(1, 2, 3))
            scaled = served.reshape(-1, 4, SLICES, 256, 256) * kept[:, None, None, None] * np.float32(4 / kept.sum())
            assert np.abs(scaled - sample).max(axis=(1, 2, 3, 4)).min() < 0.08
            seen.add(int(kept.sum()))
    assert seen == {1, 2, 3, 4}


def test_each_series_is_changed_by_itself_and_empty_stays_empty():
    """Two series of one sample, half of each empty: changed differently, moved alike, nothing appears in the void."""
    series = torch.ones(2, SLICES, 80, 80)
    series[..., :40] = 0
    law = replace(STILL, gain=(0.5, 2.0), noise=0.05)
    changed, _ = augment(
        series,
        torch.tensor([0, 0]),
        torch.zeros(1, 1, 80, 80),
        torch.full((1, SLICES, 80, 80), -1.0),
        law,
        64,
        torch.Generator().manual_seed(4),
    )
    assert changed.shape == (2, SLICES, 64, 64)
    assert not changed[..., :31].any()
    assert bool((changed[..., 33:] > 0).all())
    first, second = (float(one[..., 33:].mean()) for one in changed)
    assert abs(first - second) > 0.1


def stripped(brain: torch.Tensor, margin_px: float, seed: int) -> np.ndarray:
    """(5, 96, 96) bool: what is left of a sample that is bright throughout."""
    law = replace(STILL, strip=1, strip_margin_px=margin_px)
    target = torch.zeros(1, 1, 96, 96)
    series = torch.ones(1, *brain.shape)
    left, _ = augment(series, torch.tensor([0]), target, brain[None], law, 96, torch.Generator().manual_seed(seed))
    return left[0].numpy() > 0.5


def test_stripping_leaves_the_brain_and_a_margin_that_differs():
    """As tools do: never less than the brain, at most the margin more, now tight and now wide, and ragged."""
    brain = torch.zeros(SLICES, 96, 96)
    brain[:, 30:66, 24:72] = 1
    inside = brain.numpy() > 0
    assert np.array_equal(stripped(brain, 0, 1), inside)
    away = np.stack([ndimage.distance_transform_cdt(~one, "chessboard") for one in inside])
    reached, ragged = [], 0
    for seed in range(40):
        left = stripped(brain, 4, seed)
        assert left[inside].all()
        assert not left[away > 4].any()
        reached.append(away[left].max())
        ragged += len({int(row.sum()) for row in left[0, 34:62]}) > 1
    assert {0, 2, 4} <= set(reached)
    assert ragged > 10


def test_stripping_leaves_a_patient_whose_brain_is_not_known():
    assert stripped(torch.full((SLICES, 96, 96), -1.0), 4, 1).all()


def test_the_comparator_reads_three_sequences(patients):
    configuration = Configuration(batch=2, crop_px=64, full_share=0, **comparator())
    assert Steps(patients, configuration)[0].inputs.shape == (2, 15, 64, 64)


def test_dropout_over_some_sequences_leaves_one_that_is_read(patients):
    """BRAVO, which is not read, counted as what is left: such samples held nothing, and had a lesion to be found."""
    configuration = Configuration(batch=64, crop_px=32, full_share=0, lesion_share=1, sequences=SEQUENCES[1:])
    inputs = Steps([patients[0]], configuration)[3].inputs
    assert bool(inputs.flatten(1).any(dim=1).all())


def test_its_scale_counts_only_what_is_read(patients):
    """Training and serving agree: all three that are read are scaled by 4/3, whether BRAVO is there or not."""
    law = {"sequences": SEQUENCES[1:], "subset_law": SubsetLaw.BERNOULLI, "keep_probability": (1, 1, 1, 1)}
    shape = {"batch": 1, "crop_px": 256, "full_share": 1, "augmentation": STILL}
    inputs, plain = (Steps([patients[0]], Configuration(**shape, **one))[0].inputs for one in (law, comparator()))
    nothing = plain == 0
    assert torch.equal(inputs == 0, nothing)
    assert float((inputs[~nothing] / plain[~nothing]).median()) == pytest.approx(4 / 3)


def test_a_patient_of_whom_nothing_is_read_is_refused(patients, tmp_path):
    only_bravo = open_patient(write_patient(tmp_path, 3, slices=6, absent=(1, 2, 3)))
    with pytest.raises(TrainingError, match="0003 holds none of PRE_CUBE, POST_CUBE, FLAIR"):
        Steps([patients[0], only_bravo], Configuration(sequences=SEQUENCES[1:]))


def test_a_predictor_accepts_a_cached_patient(patients, tmp_path):
    from support.weights import random_weights

    random_weights(tmp_path)
    stack = np.asarray(patients[1].stack[:, :4], dtype=np.float32)
    assert Predictor(tmp_path, device="cpu", threads=1).predict(stack, patients[1].available).shape == (4, 256, 256)
