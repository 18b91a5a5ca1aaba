"""The law of the ILD model as a whole: what was dropped or never came changes no answer, in training or serving."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from support.patients import write_patient

from model.channels import CHANNELS, SEQUENCES, SLICES
from model.edge import EdgeRule
from model.input_dropout import SubsetLaw, draw_subsets, drop_sequences
from model.network import build
from model.subsets import all_subsets, subset_name
from training.configuration import Augmentation, Configuration
from training.patients import open_patient
from training.sampling import Steps
from worker.inference.windows import window

SUBSETS = pytest.mark.parametrize("present", [p for p in all_subsets() if not all(p)], ids=subset_name)
SCALES = {4: 1.0, 3: 4 / 3, 2: 2.0, 1: 4.0}


def still() -> Augmentation:
    """No augmentation at all."""
    kinds = {field.name: getattr(Augmentation(), field.name) for field in fields(Augmentation)}
    return Augmentation(**{name: (1.0, 1.0) if isinstance(value, tuple) else 0.0 for name, value in kinds.items()})


@SUBSETS
def test_a_dropped_sequence_cannot_change_the_answer_nor_its_gradient(present):
    torch.manual_seed(0)
    network = build("quartet_light").eval()
    stack = torch.randn(1, CHANNELS, 32, 32)
    other = stack.clone()
    dropped = torch.tensor(present).repeat_interleave(SLICES) == 0
    other[:, dropped] = 1e4 * torch.randn(1, int(dropped.sum()), 32, 32)
    answers = [network(drop_sequences(one.requires_grad_(), torch.tensor([present]))) for one in (stack, other)]
    assert torch.equal(*answers)
    answers[0].sum().backward()
    assert stack.grad is not None
    assert not stack.grad[:, dropped].any()
    assert stack.grad[:, ~dropped].any()


@pytest.mark.parametrize("law", [SubsetLaw.UNIFORM, SubsetLaw.BERNOULLI])
def test_of_four_0_to_3_are_dropped_and_each_subset_occurs(law):
    drawn = draw_subsets(law, torch.ones(4000, 4, dtype=torch.bool), torch.Generator().manual_seed(0))
    assert {tuple(row) for row in drawn.tolist()} == set(all_subsets())
    assert {int(4 - kept) for kept in drawn.sum(1)} == {0, 1, 2, 3}


def test_training_sees_whole_sequences_scaled_by_exactly_4_over_n(tmp_path):
    """Batches of the law against the same without it: a sequence is either empty or scaled, and never another."""
    patient = open_patient(write_patient(tmp_path, 1, slices=8))
    fixed = {"batch": 32, "crop_px": 32, "full_share": 0.0, "lesion_share": 1.0, "augmentation": still()}
    dropped, whole = (
        Steps([patient], Configuration(**fixed, subset_law=law))[3].inputs.unflatten(1, (4, SLICES))
        for law in (SubsetLaw.UNIFORM, SubsetLaw.NONE)
    )
    filled = dropped.abs().amax(dim=(2, 3, 4)) > 0
    assert {int(n) for n in filled.sum(1)} == {1, 2, 3, 4}
    scales = torch.tensor([SCALES[int(n)] for n in filled.sum(1)])
    assert torch.equal(dropped, whole * (scales[:, None] * filled)[:, :, None, None, None])


@pytest.mark.parametrize("present", all_subsets(), ids=subset_name)
@pytest.mark.parametrize("rule", list(EdgeRule))
def test_serving_encodes_a_subset_as_training_does(present, rule):
    """An absent sequence in a study and a dropped one in training are one and the same input."""
    rng = np.random.default_rng(0)
    encoded = rng.normal(size=(4, 7, 16, 16)).astype(np.float32)
    whole = torch.from_numpy(np.stack([window(encoded, z, rule) for z in range(7)]))
    absent = encoded * np.array(present, dtype=np.float32)[:, None, None, None]
    served = torch.from_numpy(np.stack([window(absent, z, rule) for z in range(7)])) * SCALES[sum(present)]
    trained = drop_sequences(whole, torch.tensor([present]).repeat(7, 1))
    assert torch.equal(served, trained)


def test_the_order_of_the_channels_is_the_papers():
    assert SEQUENCES == ("BRAVO", "PRE_CUBE", "POST_CUBE", "FLAIR")
    assert (SLICES, CHANNELS) == (5, 20)
