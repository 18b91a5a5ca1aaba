"""The law of the ILD model in training: what was dropped changes nothing. Serving: worker/inference/test_predict."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from support.ild_layer import drop_sequences
from support.patients import write_patient

from model.channels import CHANNELS, SEQUENCES, SLICES
from model.input_dropout import SubsetLaw, draw_subsets
from model.subsets import all_subsets
from training.configuration import Augmentation, Configuration
from training.patients import open_patient
from training.sampling import Batch, Steps


def still() -> Augmentation:
    """No augmentation at all."""
    kinds = {field.name: getattr(Augmentation(), field.name) for field in fields(Augmentation)}
    return Augmentation(**{name: (1.0, 1.0) if isinstance(value, tuple) else 0 for name, value in kinds.items()})


def batch(folder: Path, law: SubsetLaw) -> Batch:
    """32 crops about the lesions of one patient, by a law of dropout."""
    fixed = {"batch": 32, "crop_px": 32, "full_share": 0.0, "lesion_share": 1.0, "augmentation": still()}
    return Steps([open_patient(folder)], Configuration(**fixed, subset_law=law))[3]


@pytest.mark.parametrize("sequence", range(4), ids=SEQUENCES)
def test_training_never_sees_what_a_dropped_sequence_held(tmp_path, sequence):
    """Two patients differ in one sequence: their batches do where it is kept, and by no bit where it is dropped."""
    one, other = (write_patient(tmp_path / name, 1, slices=8) for name in ("one", "other"))
    stack = np.load(other / "stack.npy")
    stack[sequence] = np.sqrt(stack[sequence].clip(0))
    np.save(other / "stack.npy", stack)
    first, second = (batch(folder, SubsetLaw.UNIFORM).inputs for folder in (one, other))
    kept = first.unflatten(1, (4, SLICES))[:, sequence].flatten(1).any(dim=1)
    assert 0 < int(kept.sum()) < len(kept)
    assert torch.equal((first == second).flatten(1).all(dim=1), ~kept)


@pytest.mark.parametrize("law", [SubsetLaw.UNIFORM, SubsetLaw.BERNOULLI])
def test_of_four_0_to_3_are_dropped_and_each_subset_occurs(law):
    drawn = draw_subsets(law, torch.ones(4000, 4, dtype=torch.bool), torch.Generator().manual_seed(0))
    assert {tuple(row) for row in drawn.tolist()} == set(all_subsets())
    assert {int(4 - kept) for kept in drawn.sum(1)} == {0, 1, 2, 3}


def test_training_sees_what_the_layer_gives(tmp_path):
    """Batches of the law against the same without it: whole sequences are dropped, the others scaled by just 4/n."""
    folder = write_patient(tmp_path, 1, slices=8)
    dropped, whole = (batch(folder, law).inputs for law in (SubsetLaw.UNIFORM, SubsetLaw.NONE))
    present = dropped.unflatten(1, (4, SLICES)).flatten(2).any(dim=2)
    assert {int(kept) for kept in present.sum(1)} == {1, 2, 3, 4}
    assert torch.equal(dropped, drop_sequences(whole, present))


def test_the_order_of_the_channels_is_the_papers():
    assert SEQUENCES == ("BRAVO", "PRE_CUBE", "POST_CUBE", "FLAIR")
    assert (SLICES, CHANNELS) == (5, 20)
