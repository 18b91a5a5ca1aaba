"""Words are read as tokens, in many languages, and never by accident."""

import pytest

from dicom_node.slots.vocabulary import Meaning
from dicom_node.slots.words import Said, read

GIVEN = [
    "t1_mprage_sag+C", "T1 SPACE + c", "sT1W_3D_TFE mdc", "MdC_3D_T1_TSE_SPIR", "T1 mprage nach KM", "t1_vibe_KM",
    "3D T1 GADO", "Sag T1 post Gd", "AX T1 POST", "T1 FSPGR POST CONTRAST", "T1 con contraste", "T1 c/c", "t1 dopo mdc",
    "t1 axial apres injection", "T1 3D injecté", "T1 TFE med kontrast", "T1W efter kontrast", "T1 na contrast",
    "T1 po kontraście", "T1 z kontrastem", "kontrastlı T1 MPRAGE", "T1 sonrasi kontrast", "T1W_CE", "T1 W CONTRAST",
    "T1 w/ contrast", "t1 mprage mKM", "T1 CUBE GAD", "C+ AX T1", "T1postGd", "T1Gd", "t1gd", "t1ce", "3D T1 Dotarem",
    "com contraste T1", "T1 post i.v. KM", "Т1 с контрастом", "T1 造影", "T1增强", "T1 IV+", "T1 +KM", "enhanced T1 3D",
    "T1 KM+", "T1 MPR post-KM", "Gd_MPRAGE", "CE-MPRAGE", "T1 INJ", "3D T1 GADOLINIUM", "T1 +G", "T1 c.m.", "T1 m.d.c.",
    "AX T1 3D CONTRASTADO", "T1 pós gadolínio", "T1 m/k", "T1 iv k", "T1 etter Gd", "T1 met contrast", "T1 kontrasztos",
    "T1 po k.l.", "T1 с КУ", "T1 造影後", "T1 조영후",
]  # fmt: skip
NOT_GIVEN = [
    "t1_mprage_nativ", "T1 ohne KM", "T1 vor KM", "T1 senza mdc", "T1 pre mdc", "T1 sin contraste", "T1 s/c", "T1 PRE",
    "T1 sem contraste", "T1 sans gado", "T1 sans injection", "AX T1 W/O", "T1 without contrast", "T1 non contrast",
    "T1 noncontrast", "T1 zonder contrast", "T1 blanco", "T1 uten kontrast", "T1 utan kontrast", "T1 uden kontrast",
    "T1 bez kontrastu", "T1 przed kontrastem", "kontrastsız T1", "T1 oncesi kontrast", "T1 basale", "T1 -C", "T1 C-",
    "PRE GAD T1", "pre-contrast T1", "T1 unenhanced", "T1 avant injection", "T1 без контраста", "T1平扫", "no contrast",
    "T1 NON CON", "T1 WO", "3D T1 natif", "T1 v. KM", "T1 o. KM", "T1 KM-", "t1_nat", "T1 u. kontrast", "T1 u kontrast",
    "T1 u/k", "T1 s contraste", "T1 non injecté", "T1 IV-", "T1 diretta", "T1 SIMPLE", "T1 voor contrast", "T1 без КУ",
    "T1 før kontrast", "T1 före kontrast", "T1 造影前", "T1 単純", "T1 조영전", "T1 Plain",
]  # fmt: skip
NOTHING = [
    "", "T1 enc", "FLAIR_FatSat_AX_enc_4mm", "t2 posterior fossa", "T1 post op", "t1_mprage_sag_p2_iso", "postproc",
    "Sag 3D T1 Cube", "C-spine T1", "t2_space_dark-fluid_sag_fs_caipi4x4", "T1 con soppressione grasso", "MTC T1",
    "phase contrast venography", "fossa post T1", "3D PC", "T1 konsole", "T1W_3D_ISO", "Composed T1", "preSat T1",
    "T1 precession",
]  # fmt: skip


@pytest.mark.parametrize("text", GIVEN)
def test_contrast_given(text: str) -> None:
    """Each of these says that the agent was given."""
    assert read(text).contrast is Said.GIVEN


@pytest.mark.parametrize("text", NOT_GIVEN)
def test_contrast_not_given(text: str) -> None:
    """Each of these says that it was not, or not yet."""
    assert read(text).contrast is Said.NOT_GIVEN


@pytest.mark.parametrize("text", NOTHING)
def test_says_nothing(text: str) -> None:
    """None of these speaks of the agent, though parts of them look so."""
    assert read(text).contrast is Said.NOTHING


@pytest.mark.parametrize("text", ["t1_space_sag_iso_C", "t1_space_sag_iso c", "T1 3D con"])
def test_a_lone_letter_is_a_weak_hint(text: str) -> None:
    """A C at the end is usual, and too little to be sure."""
    assert read(text).contrast is Said.PERHAPS_GIVEN


@pytest.mark.parametrize("text", ["MRI brain w/wo contrast", "T1 pre and post Gd", "with and without contrast"])
def test_both_is_of_the_examination(text: str) -> None:
    """With and without in one text is about the examination."""
    assert read(text).contrast is Said.BOTH


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("t2_tse_dark-fluid_tra", Meaning.FLAIR),
        ("CubeT2flair", Meaning.FLAIR),
        ("t2_spc_da-fl_sag", Meaning.FLAIR),
        ("TOF_3D_multi-slab", Meaning.ANGIOGRAPHY),
        ("AAHScout_MPR_sag", Meaning.LOCALIZER),
        ("3-plane loc", Meaning.LOCALIZER),
        ("SUB T1", Meaning.SUBTRACTION),
        ("T1 Sottrazione", Meaning.SUBTRACTION),
        ("MIP_sag", Meaning.PROJECTION),
        ("Ax C-Spine T1", Meaning.ELSEWHERE),
        ("HWS sag", Meaning.ELSEWHERE),
        ("t1_vibe_dixon_tra_F", Meaning.FAT_PART),
        ("T1 ENC tra", Meaning.HEAD),
        ("ACR phantom", Meaning.PHANTOM),
    ],
)
def test_meanings(text: str, meaning: Meaning) -> None:
    """Kinds of image and regions of the body are read from whole words."""
    assert meaning in read(text).meanings


def test_the_reason_never_quotes_the_text() -> None:
    """A description may hold a name; only our own word for it is repeated."""
    assert read("Miller^Anna nach KM").contrast_word == "nach km"
