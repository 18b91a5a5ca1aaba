"""Whatever is missing or malformed: nothing raises, and pre never becomes post, nor post pre."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support import slot_headers as h
from support.slot_headers import at

from dicom_node.contract.slots import SequenceSlot
from dicom_node.slots.classify import classify_study

NONSENSE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.lists(st.text(max_size=4), max_size=3), st.lists(st.one_of(st.none(), st.floats()), max_size=6),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["\\", "/", "NaN", "inf", "1e999", "١٢", "20250230", "999999", "\x00", "1,5"]),
)  # fmt: skip
KEYWORDS = sorted(
    {k for make in (h.siemens_space_t1, h.ge_bravo, h.philips_tfe, h.localizer) for k in make()}
    | {
        "AcquisitionTime", "AcquisitionDate", "AcquisitionDateTime", "SeriesTime", "SeriesNumber", "ContrastBolusAgent",
        "ContrastBolusStartTime", "ContrastBolusAgentSequence", "SharedFunctionalGroupsSequence", "NumberOfFrames",
        "ImageOrientationPatient", "ProtocolName", "SOPClassUID", "BodyPartExamined", "PixelSpacing", "FrameType",
        "PerFrameFunctionalGroupsSequence", "NumberOfSeriesRelatedInstances", "DiffusionBValue", "SpacingBetweenSlices",
    }
)  # fmt: skip
_AGENT = {"ContrastBolusAgent": "Gadovist"}
# (the truth, the headers) of consistent studies: None where there is no slot
STUDIES: list[list[tuple[str | None, dict[str, Any]]]] = [
    [
        ("PRE_CUBE", at("100000", 3, h.siemens_space_t1(SeriesDescription="t1_space"))),
        ("FLAIR", at("101000", 5, h.siemens_space_flair(SeriesDescription="t2_space_dark-fluid"))),
        (None, at("101500", 6, h.siemens_t2())),
        ("POST_CUBE", at("103000", 9, h.siemens_space_t1(SeriesDescription="t1_space+C", **_AGENT))),
        ("BRAVO", at("103500", 10, h.siemens_mprage(SeriesDescription="t1_mprage+C", **_AGENT))),
    ],
    [
        (None, at("100000", 2, h.siemens_t1_2d())),
        ("PRE_CUBE", at("100500", 3, h.siemens_space_t1())),
        ("FLAIR", at("101000", 5, h.siemens_space_flair())),
        ("BRAVO", at("103500", 10, h.siemens_mprage())),
    ],
    [
        (None, at("235000", 201, h.philips_tfe(SeriesDescription="T1 TFE"))),
        ("PRE_CUBE", at("235500", 301, h.philips_brainview_t1(SeriesDescription="T1 BrainView"))),
        ("FLAIR", at("000000.5", 401, h.philips_flair())),
        ("POST_CUBE", at("001500", 701, h.philips_brainview_t1(SeriesDescription="T1 BrainView Gd"))),
        ("BRAVO", at("002000", 801, h.philips_tfe(SeriesDescription="T1 TFE Gd"))),
    ],
    [
        ("PRE_CUBE", at("100000", 3, h.ge_cube_t1())),
        (None, at("100600", 4, h.ge_bravo())),
        ("FLAIR", at("101200", 5, h.ge_cube_flair())),
        ("POST_CUBE", at("103000", 8, h.ge_cube_t1(**_AGENT))),
        ("BRAVO", at("103600", 9, h.ge_bravo(**_AGENT))),
    ],
    [  # an examination without agent
        (None, at("100000", 2, h.siemens_t1_2d())),
        (None, at("100500", 3, h.siemens_mprage(SeriesDescription="t1 mprage nativ", ContrastBolusAgent="NONE"))),
        (None, at("101000", 4, h.siemens_t2())),
        ("FLAIR", at("101500", 5, h.siemens_space_flair())),
    ],
]
BEFORE = {"PRE_CUBE"}
AFTER = {"POST_CUBE", "BRAVO"}


def never_crossed(study: list[tuple[str | None, dict[str, Any]]]) -> None:
    verdict = classify_study([headers for _, headers in study])
    for (truth, _), found in zip(study, verdict.series, strict=True):
        slot = found.slot.value if found.slot else None
        assert not (truth in BEFORE and slot in AFTER), (truth, found)
        assert not (truth in AFTER and slot in BEFORE), (truth, found)
        assert truth is not None or slot is None, found


@given(st.lists(st.dictionaries(st.sampled_from(KEYWORDS), NONSENSE), max_size=4))
@settings(max_examples=300, deadline=None)
def test_nonsense_never_raises(series: list[dict[str, Any]]) -> None:
    """Any values under any keywords give a verdict."""
    verdict = classify_study(series)
    assert len(verdict.series) == len(series)
    assert all(s.reasons and 0 <= s.confidence <= 1 for s in verdict.series)


@given(st.sampled_from(STUDIES), st.randoms(use_true_random=False), st.floats(0, 0.9))
@settings(max_examples=400, deadline=None)
def test_dropped_attributes_never_cross(
    study: list[tuple[str | None, dict[str, Any]]], rng: random.Random, share: float
) -> None:
    """Any share of the attributes missing, anywhere: pre never becomes post."""
    thinned = [(truth, {k: v for k, v in headers.items() if rng.random() >= share}) for truth, headers in study]
    never_crossed(rng.sample(thinned, len(thinned)))


@given(st.sampled_from(STUDIES), st.sets(st.sampled_from(KEYWORDS)), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_a_site_that_never_writes_an_attribute(
    study: list[tuple[str | None, dict[str, Any]]], gone: set[str], rng: random.Random
) -> None:
    """Any set of attributes absent from all series of a study."""
    never_crossed([(truth, {k: v for k, v in headers.items() if k not in gone}) for truth, headers in study])


MALFORMED = st.sampled_from(["", "?", "n/a", [], None, [None], "\\", {"a": 1}, True, -1, "NaN"])


@given(st.sampled_from(STUDIES), st.randoms(use_true_random=False), st.lists(MALFORMED, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_malformed_attributes_never_cross(
    study: list[tuple[str | None, dict[str, Any]]], rng: random.Random, nonsense: list[object]
) -> None:
    """Some attributes hold nonsense."""
    never_crossed(
        [(t, {k: rng.choice(nonsense) if rng.random() < 0.25 else v for k, v in hs.items()}) for t, hs in study]
    )


@given(st.sampled_from(STUDIES), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_input_does_not_matter(
    study: list[tuple[str | None, dict[str, Any]]], rng: random.Random
) -> None:
    """Shuffled series get the same slots."""
    before = classify_study([headers for _, headers in study]).series
    expected = {id(headers): s.slot for (_, headers), s in zip(study, before, strict=True)}
    mixed = rng.sample(study, len(study))
    for (_, headers), found in zip(mixed, classify_study([d for _, d in mixed]).series, strict=True):
        assert found.slot is expected[id(headers)]


def test_the_whole_studies_are_right() -> None:
    """The studies of these tests themselves fill the slots they should."""
    for study in [*STUDIES[4:], *STUDIES[:1], *STUDIES[2:4]]:
        verdict = classify_study([headers for _, headers in study])
        assert [s.slot.value if s.slot else None for s in verdict.series] == [truth for truth, _ in study]
    assert set(verdict.chosen) == set(SequenceSlot)
