"""The parts of the report that say what it rests on: sequences, model, expected performance, predecessor.

Called by report. TID 1500 is extensible; these are containers of our own scheme beside the template's.
"""

from highdicom.sr import ContentItem

from dicom_node.contract.messages import SlotUse
from worker.results import codes
from worker.results.content_items import code, container, number, text, uid_reference
from worker.results.provenance import RESEARCH_USE_ONLY, ResultContext


def disclaimer(context: ResultContext) -> ContentItem:
    """The first words of the report."""
    used = f"Sequences used: {context.sequences}. "
    missing = [slot.slot.label for slot in context.slots if slot not in context.used]
    without = f"Not used: {', '.join(missing)}. " if missing else ""
    return text(codes.COMMENT, f"{RESEARCH_USE_ONLY}. {used}{without}Not verified by a physician.")


def input_sequences(context: ResultContext) -> ContentItem:
    """One container a slot: used, missing or rejected, why, which series, how sure, how well registered."""
    return container(codes.INPUT_SEQUENCES, [_input_sequence(context, slot) for slot in context.slots])


def model_and_provenance(context: ResultContext) -> ContentItem:
    """Model, digests, threshold, and the result that this one replaces."""
    model = context.model
    items: list[ContentItem] = [
        text(codes.ALGORITHM_NAME, model.name),
        text(codes.ALGORITHM_VERSION, model.version),
        text(codes.SOFTWARE, context.software_version),
        number(codes.THRESHOLD, model.threshold),
        text(codes.WEIGHTS_DIGEST, model.weights_digest),
        text(codes.SNAPSHOT_DIGEST, context.request.snapshot_digest),
    ]
    if context.settings_digest:
        items.append(text(codes.SETTINGS_DIGEST, context.settings_digest))
    items.extend(uid_reference(codes.SUPERSEDES, file.sop_instance_uid) for file in context.predecessor)
    return container(codes.PROCESSING, items)


def expected_performance(context: ResultContext) -> ContentItem:
    """What the model card says of just these sequences; a sentence where it says nothing."""
    items: list[ContentItem] = [
        number(codes.private(_code_value(name), f"Expected {name}"), value)
        for name, value in sorted(context.model.expected.items())
    ]
    if not items:
        items = [text(codes.COMMENT, "The model card gives no expected performance for these sequences.")]
    return container(codes.EXPECTED_PERFORMANCE, items)


def _input_sequence(context: ResultContext, slot: SlotUse) -> ContentItem:
    items: list[ContentItem] = [
        code(codes.SLOT, codes.private(slot.slot.value, slot.slot.label)),
        code(codes.SLOT_STATE, codes.private(slot.state.value.upper(), slot.state.value)),
    ]
    if slot.reason:
        items.append(text(codes.SLOT_REASON, slot.reason))
    if slot.series_instance_uid:
        items.append(uid_reference(codes.SLOT_SERIES, slot.series_instance_uid))
        items.append(number(codes.SLOT_CONFIDENCE, slot.confidence))
        if context.is_reference(slot):
            items.append(text(codes.IS_REFERENCE, "yes"))
    if slot.registration:
        figures = [
            number(codes.private(_code_value(name), name), value) for name, value in sorted(slot.registration.items())
        ]
        items.append(container(codes.REGISTRATION, figures))
    return container(codes.INPUT_SEQUENCE, items)


def _code_value(name: str) -> str:
    """A metric's name as a code value: capitals, 16 characters (SH)."""
    return "".join(sign if sign.isalnum() else "_" for sign in name.upper())[:16]
