"""The law of input dropout: whole sequences, never all, exact scales, the same in training and inference."""

import pytest
import torch

from model.input_dropout import SubsetLaw, draw_subsets, kept_scale
from model.subsets import all_subsets, subset_name


@pytest.mark.parametrize("present", all_subsets(), ids=subset_name)
def test_what_is_left_is_scaled_by_4_over_n(present):
    assert kept_scale(torch.tensor([present, (True,) * 4])).tolist() == pytest.approx([4 / sum(present), 1], rel=1e-7)


def test_no_sequence_at_all_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        kept_scale(torch.zeros(1, 4, dtype=torch.bool))


@pytest.mark.parametrize(
    ("law", "shares"),
    [
        (SubsetLaw.UNIFORM, (1 / 15, 4 / 15, 6 / 15, 4 / 15)),
        (SubsetLaw.COUNT, (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
        (SubsetLaw.BERNOULLI, (0.316, 0.422, 0.211, 0.051)),
    ],
)
def test_subsets_are_drawn_by_their_law_and_never_empty(law, shares):
    drawn = draw_subsets(law, torch.ones(20_000, 4, dtype=torch.bool), torch.Generator().manual_seed(1))
    dropped = 4 - drawn.sum(1)
    assert drawn.any(1).all()
    for number, share in enumerate(shares):
        assert float((dropped == number).float().mean()) == pytest.approx(share, abs=0.015)


def test_a_sequence_can_drop_more_often_than_the_others():
    available = torch.ones(20_000, 4, dtype=torch.bool)
    drawn = draw_subsets(SubsetLaw.BERNOULLI, available, torch.Generator().manual_seed(4), (0.5, 0.85, 0.85, 1.0))
    assert drawn.float().mean(0).tolist() == pytest.approx([0.5, 0.85, 0.85, 1.0], abs=0.01)
    without_bravo = (drawn == torch.tensor([False, True, True, True])).all(1)
    assert float(without_bravo.float().mean()) == pytest.approx(0.5 * 0.85 * 0.85, abs=0.01)


@pytest.mark.parametrize("law", SubsetLaw)
def test_a_sequence_that_the_set_lacks_is_always_dropped(law):
    available = torch.tensor([[False, True, True, True], [False, False, True, False]]).repeat(500, 1)
    drawn = draw_subsets(law, available, torch.Generator().manual_seed(2))
    assert not (drawn & ~available).any()
    assert drawn.any(1).all()


def test_the_law_of_numbers_counts_only_what_the_set_has():
    available = torch.tensor([[False, True, True, True]]).repeat(12_000, 1)
    drawn = draw_subsets(SubsetLaw.COUNT, available, torch.Generator().manual_seed(3))
    for number in (1, 2, 3):
        assert float((drawn.sum(1) == number).float().mean()) == pytest.approx(1 / 3, abs=0.015)
    alone = drawn[drawn.sum(1) == 1].float().mean(0)
    assert alone.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3], abs=0.02)


def test_without_dropout_everything_available_stays():
    available = torch.tensor([[False, True, True, True]])
    assert torch.equal(draw_subsets(SubsetLaw.NONE, available, torch.Generator()), available)


def test_the_same_seed_draws_the_same():
    available = torch.ones(50, 4, dtype=torch.bool)
    first, second = (draw_subsets(SubsetLaw.UNIFORM, available, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
