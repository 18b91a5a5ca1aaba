"""From a stack of four sequences to the probability of metastasis in each voxel.

Normalisation, five-slice windows, input dropout of what is absent and the engine are joined here. Called by
worker/pipeline and training/evaluate. Knows no DICOM and no patient: the stack lies on the model's grid already.
"""

import copy
import functools
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from dicom_node.contract.messages import ModelIdentity
from dicom_node.contract.slots import SequenceSlot
from model.card import Card
from model.channels import SEQUENCES, SIZE_PX, SLICES
from model.checkpoint import DEFAULT_FOLDER, Checkpoint, CheckpointError, load, verify
from model.input_dropout import SubsetLaw, kept_scale
from model.subsets import subset_name
from worker.errors import InputRefused, WeightsError, WorkerError
from worker.inference.device import choose_device
from worker.inference.engine import CPU_BATCH, CUDA_BATCH, Engine, make_engine
from worker.inference.half_scale import completed, halved
from worker.inference.head_box import BLOCK_PX, Blocks, box, halved_blocks, occupied
from worker.inference.mirrored_objects import WINDOW_PX, Tile, asked_again
from worker.inference.windows import filled_slices, window

Float32 = NDArray[np.float32]


def default_weights() -> Path:
    """The folder of the weights that come with this release."""
    return DEFAULT_FOLDER


def verify_weights(weights: Path) -> None:
    """Refuse weights that are missing or altered, at once and without building a network. Raises `WeightsError`."""
    try:
        verify(weights)
    except CheckpointError as error:
        raise WeightsError(str(error)) from error


class Predictor:
    """The model, loaded once a process. Raises `WeightsError` where the weights cannot be trusted."""

    def __init__(self, weights: Path, *, device: str = "auto", threads: int = 0) -> None:
        try:
            checkpoint = load(weights)
        except CheckpointError as error:
            raise WeightsError(str(error)) from error
        self._serve(checkpoint, device, threads)

    @classmethod
    def of(cls, network: nn.Module, card: Card, *, device: str = "auto", threads: int = 0) -> "Predictor":
        """A predictor of a network in memory, for training's validation. The network may go on learning meanwhile."""
        predictor = cls.__new__(cls)
        copied = copy.deepcopy(network).eval()
        predictor._serve(Checkpoint(network=copied, card=card, digest="in memory"), device, threads)
        return predictor

    def _serve(self, checkpoint: Checkpoint, device: str, threads: int) -> None:
        self.card = checkpoint.card
        self._digest = checkpoint.digest
        self._channels = [SEQUENCES.index(name) for name in self.card.sequences]
        chosen = choose_device(device)
        # slices of a batch share a box: of a size that does not depend on the device, or neither would the answer
        self._batch = CUDA_BATCH if chosen.type == "cuda" and not self.card.crop_to_head else CPU_BATCH
        self._asks_again = self.card.mirror_objects and not self.card.mirror
        sizes = {SIZE_PX}
        if self.card.half_scale:
            sizes.add(SIZE_PX // 2)
        if self._asks_again:
            sizes.add(WINDOW_PX)
        make = functools.partial(self._make_engine, checkpoint.network, chosen, threads)
        self._engines = (
            dict.fromkeys(sizes, make(None)) if self.card.crop_to_head else {size: make(size) for size in sorted(sizes)}
        )
        """By the side of what is read, or of what a box is cut from."""

    def _make_engine(self, network: nn.Module, device: torch.device, threads: int, side: int | None) -> Engine:
        shape = (self._batch, SLICES * len(self._channels), side, side)
        return make_engine(network, device=device, shape=shape, threads=threads)

    def identity(self, present: tuple[bool, ...]) -> ModelIdentity:
        """Which model this is, with threshold and expected performance of this subset of sequences."""
        subset = subset_name(present)
        return ModelIdentity(
            name=self.card.name,
            version=self.card.version,
            weights_digest=self._digest,
            threshold=self.card.thresholds[subset],
            expected=dict(self.card.expected.get(subset, {})),
        )

    @property
    def sequences(self) -> tuple[SequenceSlot, ...]:
        """What the network reads."""
        return tuple(SequenceSlot(name) for name in self.card.sequences)

    def reads(self, present: tuple[bool, ...]) -> bool:
        """Whether the network reads any of these sequences: the comparator of the paper has no BRAVO."""
        return any(present[channel] for channel in self._channels)

    def predict(self, stack: Float32, present: tuple[bool, ...]) -> Float32:
        """(4, Z, 256, 256) raw intensities on the model's grid -> (Z, 256, 256) probability, float32.

        What an absent sequence holds does not matter, nor one that the network does not read. Slices in which nothing
        was measured are 0, and what lies outside the head's boxes where the card asks for them. The same input gives
        the same output. Raises `InputRefused` where the network reads none of what is present, `WorkerError` for
        another shape, a sequence that is empty or holds what is no number, or where the network gives what is no
        probability.
        """
        subset = subset_name(present)
        if not self.reads(present):
            raise InputRefused(f"the model reads {', '.join(self.card.sequences)} only, and the study holds {subset}")
        if stack.ndim != 4 or stack.shape[0] != len(SEQUENCES) or stack.shape[2:] != (SIZE_PX, SIZE_PX):
            raise WorkerError(f"the model reads (4, Z, {SIZE_PX}, {SIZE_PX}), got {stack.shape}")
        self._require_measured(stack, present)
        encoded = self._encode(stack, present)
        head = self._head(stack, present)
        first = self._look(encoded, head)
        answer = self._asked_again(encoded, first) if self._asks_again else first
        if self.card.half_scale:
            wanted = filled_slices(encoded)
            second = self._look(halved(encoded), halved_blocks(head))
            answer[wanted] = completed(answer, second, first)[wanted]
        return answer

    def _require_measured(self, stack: Float32, present: tuple[bool, ...]) -> None:
        for channel in self._channels:
            if not present[channel]:
                continue
            if not np.isfinite(stack[channel]).all():  # ceiling and ReLU would make silent numbers of it
                raise WorkerError("an input sequence holds values that are no numbers: the study cannot be trusted")
            if not (stack[channel] > 0).any():  # training counts such a sequence as absent
                raise WorkerError(f"{SEQUENCES[channel]} is said to be present, but no voxel of it is above zero")

    def _encode(self, stack: Float32, present: tuple[bool, ...]) -> Float32:
        """Normalise what is there, leave zeros for what is not, and scale as training does: input dropout.

        A sequence that the network does not read is dropped, whether the study holds it or not.
        """
        encoded = np.zeros((len(self._channels), *stack.shape[1:]), dtype=np.float32)
        ild = self.card.subset_law is not SubsetLaw.NONE
        kept = [here and channel in self._channels for channel, here in enumerate(present)]
        scale = np.float32(kept_scale(torch.tensor([kept])).item() if ild else 1.0)
        for row, channel in enumerate(self._channels):
            if present[channel]:
                encoded[row] = self.card.normalisation.apply(stack[channel]) * scale
        return encoded

    def _head(self, stack: Float32, present: tuple[bool, ...]) -> Blocks:
        """(Z, 32, 32): the blocks to look at; all, where the card does not ask for the head only."""
        if not self.card.crop_to_head:
            return np.ones((stack.shape[1], *(side // BLOCK_PX for side in stack.shape[2:])), dtype=np.bool_)
        return occupied([stack[channel] for channel in self._channels if present[channel]])

    def _look(self, encoded: Float32, head: Blocks) -> Float32:
        """(S, Z, Y, X) -> (Z, Y, X) probability; raises `WorkerError` where it is none. 0 outside the head's boxes."""
        probability = np.zeros(encoded.shape[1:], dtype=np.float32)
        wanted = [z for z in filled_slices(encoded) if head[z].any()]
        for start in range(0, len(wanted), self._batch):
            chosen = wanted[start : start + self._batch]
            part = box(head[chosen], encoded.shape[-1] // head.shape[-1])
            probability[chosen, *part] = self._run(encoded[:, :, *part], chosen, self._engines[encoded.shape[-1]])
        _require_probabilities(probability)
        return probability

    def _asked_again(self, encoded: Float32, first: Float32) -> Float32:
        """The mean with the mirror image about what was called; raises `WorkerError` where it is no probability."""
        answer = first.copy()
        asked = asked_again(first)
        for start in range(0, len(asked), self._batch):
            chosen = asked[start : start + self._batch]
            for (z, tile), mirrored in zip(chosen, self._run_mirrored(encoded, chosen), strict=False):
                answer[z][tile.part] = (first[z][tile.part] + mirrored[tile.within]) / np.float32(2)
        _require_probabilities(answer)
        return answer

    def _run_mirrored(self, encoded: Float32, asked: list[tuple[int, Tile]]) -> Float32:
        """The answers (batch, Y, X) to mirrored windows, turned back."""
        inputs = np.zeros((self._batch, encoded.shape[0] * SLICES, WINDOW_PX, WINDOW_PX), dtype=np.float32)
        for row, (z, tile) in enumerate(asked):
            inputs[row] = window(encoded[:, :, *tile.window], z, self.card.edge_rule)[..., ::-1]
        answer: Float32 = self._engines[WINDOW_PX](inputs)[:, 0, :, ::-1]
        return answer

    def _run(self, encoded: Float32, slices: list[int], engine: Engine) -> Float32:
        inputs = np.zeros((self._batch, encoded.shape[0] * SLICES, *encoded.shape[2:]), dtype=np.float32)
        for row, centre in enumerate(slices):
            inputs[row] = window(encoded, centre, self.card.edge_rule)
        answer = engine(inputs)
        if self.card.mirror:
            mirrored = engine(np.ascontiguousarray(inputs[..., ::-1]))
            answer = (answer + mirrored[..., ::-1]) / np.float32(2)
        result: Float32 = answer[: len(slices), 0]
        return result


def _require_probabilities(values: Float32) -> None:
    if not np.isfinite(values).all():
        raise WorkerError("the network gave values that are no probabilities: its weights cannot be used")
