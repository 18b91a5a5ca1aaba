"""The served path: the same answer as torch, indifferent to what is absent, and honest about what it cannot do."""

import numpy as np
import pytest
import torch
from support.ild_layer import drop_sequences
from support.patients import write_patient
from support.weights import random_weights

from model.channels import SEQUENCES
from model.checkpoint import CARD_FILE, load
from model.edge import EdgeRule
from model.input_dropout import SubsetLaw
from model.subsets import all_subsets, subset_name
from worker.errors import InputRefused, WeightsError, WorkerError
from worker.inference.engine import make_engine
from worker.inference.predict import Predictor, default_weights
from worker.inference.windows import window

PRESENT = (True, False, True, True)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    random_weights(folder, expected={"BRAVO+POST_CUBE+FLAIR": {"dice": 0.8}})
    return folder


@pytest.fixture(scope="module")
def predictor(weights):
    return Predictor(weights, device="cpu", threads=1)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = write_patient(tmp_path_factory.mktemp("patient"), 1, slices=7)
    return np.load(folder / "stack.npy").astype(np.float32)


def by_torch(weights, stack, present):
    """(Z, 256, 256): each slice by eager torch, after the layer of input dropout."""
    checkpoint = load(weights)
    encoded = np.stack([checkpoint.card.normalisation.apply(volume) for volume in stack])
    slices = [window(encoded, z, checkpoint.card.edge_rule) for z in range(stack.shape[1])]
    with torch.inference_mode():
        dropped = drop_sequences(torch.from_numpy(np.stack(slices)), torch.tensor([present] * len(slices)))
        return checkpoint.network(dropped).sigmoid()[:, 0].numpy()


@pytest.mark.parametrize("present", all_subsets(), ids=subset_name)
def test_each_subset_is_answered_as_by_eager_torch_after_the_layer(weights, predictor, stack, present):
    served = predictor.predict(stack, present)
    assert served.shape == stack.shape[1:]
    assert np.abs(served - by_torch(weights, stack, present)).max() < 1e-5
    assert np.ptp(served) > 1e-3


@pytest.mark.parametrize("rule", [rule for rule in EdgeRule if rule is not EdgeRule.ZEROS])
def test_so_it_is_by_another_rule_of_the_edge(tmp_path, stack, rule):
    random_weights(tmp_path, edge_rule=rule)
    served = Predictor(tmp_path, device="cpu", threads=1).predict(stack, PRESENT)
    assert np.abs(served - by_torch(tmp_path, stack, PRESENT)).max() < 1e-5


@pytest.mark.parametrize("present", [p for p in all_subsets() if not all(p)], ids=subset_name)
def test_what_an_absent_sequence_holds_does_not_matter(predictor, stack, present):
    spoiled = stack.copy()
    spoiled[[not here for here in present]] = np.nan
    assert np.array_equal(predictor.predict(stack, present), predictor.predict(spoiled, present))


def test_the_same_input_gives_the_same_bytes(predictor, stack):
    assert predictor.predict(stack, PRESENT).tobytes() == predictor.predict(stack, PRESENT).tobytes()


def test_slices_without_anything_are_not_run_and_are_zero(predictor, stack):
    padded = np.pad(stack, ((0, 0), (6, 6), (0, 0), (0, 0)))
    probability = predictor.predict(padded, PRESENT)
    assert not probability[:6].any()
    assert not probability[-6:].any()
    assert probability[6:-6].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_refused(predictor, stack, value):
    spoiled = stack.copy()
    spoiled[0, 3, 128, 128] = value
    with pytest.raises(WorkerError, match="no numbers"):
        predictor.predict(spoiled, PRESENT)


@pytest.mark.parametrize("empty", [lambda one: one * 0, lambda one: -abs(one)], ids=["zeros", "below zero"])
def test_an_empty_sequence_that_is_said_to_be_present_is_refused(predictor, stack, empty):
    """Training counts it as absent: the scale of the others would be wrong, and no result says so."""
    spoiled = stack.copy()
    spoiled[3] = empty(stack[3])
    with pytest.raises(WorkerError, match="FLAIR is said to be present"):
        predictor.predict(spoiled, PRESENT)
    assert predictor.predict(spoiled, (True, False, True, False)).any()


def test_a_stack_without_slices_is_refused(predictor, stack):
    with pytest.raises(WorkerError, match="BRAVO is said to be present"):
        predictor.predict(stack[:, :0], PRESENT)


def test_weights_that_give_no_probabilities_are_refused(tmp_path, stack):
    card = random_weights(tmp_path)
    network = load(tmp_path).network
    network.head.bias.data.fill_(float("nan"))
    with pytest.raises(WorkerError, match="no probabilities"):
        Predictor.of(network, card, device="cpu", threads=1).predict(stack, PRESENT)


@pytest.mark.parametrize("shape", [(4, 7, 255, 256), (3, 7, 256, 256), (7, 256, 256)])
def test_another_shape_is_refused(predictor, shape):
    with pytest.raises(WorkerError, match="the model reads"):
        predictor.predict(np.zeros(shape, dtype=np.float32), PRESENT)


def test_identity_is_of_just_this_subset(predictor):
    identity = predictor.identity(PRESENT)
    assert identity.expected == {"dice": 0.8}
    assert identity.threshold == 0.5
    assert len(identity.weights_digest) == 64
    assert predictor.identity((True, True, True, True)).expected == {}


def test_altered_weights_are_a_weights_error(tmp_path):
    random_weights(tmp_path)
    (tmp_path / CARD_FILE).write_text("{}")
    with pytest.raises(WeightsError, match=r"card\.json"):
        Predictor(tmp_path)


def test_the_comparator_reads_its_three_sequences_unscaled(tmp_path, stack):
    random_weights(tmp_path, sequences=SEQUENCES[1:], subset_law=SubsetLaw.NONE)
    predictor = Predictor(tmp_path, device="cpu", threads=1)
    without, with_bravo = (predictor.predict(stack, present) for present in ((False, True, True, True), (True,) * 4))
    assert np.array_equal(without, with_bravo)
    with pytest.raises(InputRefused, match=r"reads PRE_CUBE, POST_CUBE, FLAIR only, and the study holds BRAVO$"):
        predictor.predict(stack, (True, False, False, False))


def test_what_the_network_does_not_read_does_not_change_the_scale(tmp_path, stack):
    """Input dropout over three sequences: with BRAVO in the study the other three were scaled by 1, not by 4/3."""
    random_weights(tmp_path, sequences=SEQUENCES[1:], subset_law=SubsetLaw.UNIFORM)
    predictor = Predictor(tmp_path, device="cpu", threads=1)
    for read in ((True, True, True), (False, True, False)):
        without, with_bravo = (predictor.predict(stack, (bravo, *read)) for bravo in (False, True))
        assert np.array_equal(without, with_bravo)


def test_the_mirrored_model_is_indifferent_to_the_side(tmp_path, stack):
    random_weights(tmp_path, mirror=True)
    predictor = Predictor(tmp_path, device="cpu", threads=1)
    there, back = predictor.predict(stack, PRESENT), predictor.predict(stack[..., ::-1].copy(), PRESENT)
    assert np.abs(there - back[..., ::-1]).max() < 1e-3  # medians are taken over every second voxel


def test_an_unknown_device_is_refused(weights):
    with pytest.raises(WorkerError, match=r"worker\.device"):
        Predictor(weights, device="tpu")


def test_openvino_that_cannot_be_had_leaves_torch(weights, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    engine = make_engine(load(weights).network, device=torch.device("cpu"), shape=(1, 20, 256, 256), threads=0)
    assert engine(np.zeros((1, 20, 256, 256), dtype=np.float32)).shape == (1, 1, 256, 256)
    assert "OpenVINO cannot run" in caplog.text


def test_the_weights_of_this_release_load_and_are_small():
    folder = default_weights()
    assert load(folder).card.statement.startswith("Research use only")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 30_000_000
