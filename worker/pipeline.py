"""The flow of one job: request -> volumes -> registration -> stack -> probability -> lesions -> SEG and SR.

Called by attempt.py, which turns errors into outcomes. Read `run` first: it is the paper's method in ten calls. No
Celery, no queue, no catalog here.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import JobOutcome, JobRequest, ModelIdentity, OutcomeStatus, ProductFile, SlotUse
from worker.align import Aligned, align, slot_uses
from worker.inference.predict import Predictor
from worker.inputs import read_inputs
from worker.lesions.components import find_lesions
from worker.lesions.describe import describe_lesions
from worker.lesions.record import load as load_lesions
from worker.lesions.record import save as save_lesions
from worker.lesions.tracking import LesionRecord, track_lesions
from worker.results.preview import write_preview
from worker.results.provenance import ResultContext
from worker.results.write import write_results
from worker.settings import WorkerSettings
from worker.volume.geometry import Float32, Grid, Volume
from worker.volume.resample import IDENTITY, model_grid, to_model_grid, to_native
from worker.volume.stack import stack

PREVIEW = "preview.png"
"""A picture for people beside the results; never sent."""


class Clock(Protocol):
    """Times the stages (attempt.Stopwatch)."""

    seconds: dict[str, float]

    def stage(self, name: str, fraction: float) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """What the superseded job left: its lesions, for their names, and its objects, to be named."""

    lesions: LesionRecord | None = None
    products: tuple[ProductFile, ...] = ()


def run(
    request: JobRequest,
    attempt: int,
    folder: JobFolder,
    settings: WorkerSettings,
    predictor: Predictor,
    clock: Clock,
) -> JobOutcome:
    """Run the whole job in the attempt's bench and give its outcome. Raises `InputRefused` and `WorkerError`."""
    with clock.stage("read", 0.0):
        inputs = read_inputs(request, folder.storage_root)
    with clock.stage("register", 0.1):
        aligned = align(inputs)
    with clock.stage("resample", 0.35):
        stacked, present, grid = stack_on_model_grid(aligned)
    with clock.stage("predict", 0.4):
        probability = Volume(voxels=predictor.predict(stacked, present), grid=grid)
        model = predictor.identity(present)
    with clock.stage("results", 0.85):
        slots = slot_uses(request, aligned, predictor.sequences)
        predecessor = read_predecessor(request, folder)
        context, record = describe(request, aligned, slots, probability, model, settings, predecessor)
        products = write_results(folder.attempt(attempt), context, request.products)
        save_lesions(folder.attempt(attempt), record)
        write_preview(folder.attempt(attempt) / PREVIEW, context)
    return JobOutcome(
        job_id=request.job_id,
        attempt=attempt,
        status=OutcomeStatus.COMPLETED,
        slots=context.slots,
        lesions=context.lesions,
        products=products,
        model=model,
        seconds=dict(clock.seconds),
    )


def stack_on_model_grid(aligned: Aligned) -> tuple[Float32, tuple[bool, ...], Grid]:
    """(4, Z, 256, 256) on the model's grid over the reference's head, which slots are there, and the grid."""
    grid = model_grid(aligned.volumes[aligned.reference].volume)
    on_grid = {}
    for slot, series in aligned.volumes.items():
        alignment = aligned.alignments.get(slot)
        transform = alignment.transform if alignment is not None else IDENTITY
        on_grid[slot] = to_model_grid(series.volume, grid, transform)
    stacked, present = stack(on_grid)
    return stacked, present, grid


def describe(
    request: JobRequest,
    aligned: Aligned,
    slots: tuple[SlotUse, ...],
    on_model_grid: Volume,
    model: ModelIdentity,
    settings: WorkerSettings,
    predecessor: Predecessor,
) -> tuple[ResultContext, LesionRecord]:
    """From the probability to lesions with measures and names, on the reference's native planes."""
    reference = aligned.volumes[aligned.reference]
    probability = to_native(on_model_grid, reference.volume.grid)
    found = find_lesions(probability, model.threshold, settings.minimum_lesion_mm3)
    record = track_lesions(
        found,
        study_instance_uid=request.study_instance_uid,
        snapshot_digest=request.snapshot_digest,
        frame_of_reference_uid=reference.frame_of_reference_uid,
        previous=predecessor.lesions,
    )
    context = ResultContext(
        request=request,
        reference=reference,
        others={slot: series.headers for slot, series in aligned.volumes.items() if slot != aligned.reference},
        slots=slots,
        model=model,
        lesions=describe_lesions(record, probability, reference.volume),
        lesion_map=found,
        probability=probability,
        software_version=version("quartet"),
        settings_digest=settings.digest(),
        predecessor=predecessor.products,
    )
    return context, record


def read_predecessor(request: JobRequest, folder: JobFolder) -> Predecessor:
    """The result that this one supersedes; empty for the first of a study."""
    if request.predecessor_job_id is None:
        return Predecessor()
    before = JobFolder(folder.storage_root, request.predecessor_job_id)
    outcome = before.read_outcome()
    if outcome is None:
        return Predecessor()
    return Predecessor(lesions=load_lesions(before.outcome), products=outcome.products)
