"""The ordered table of rules: the first that holds says what kind of image a series is.

Called by classify.py. Each rule is a name, a predicate over `Evidence`, and a kind. First comes what a series is not
(by its class, image type, flags and, only where physics cannot tell, by its words), then the physics of what it is.
Knows no other series and nothing of contrast agent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dicom_node.slots import physics
from dicom_node.slots.evidence import Evidence
from dicom_node.slots.kinds import Kind
from dicom_node.slots.vocabulary import Meaning, words_of

MINIMUM_SLICES = 5
"""The model sees five slices in a row; with fewer there is nothing to look at."""
LOCALIZER_SLICES = 60
"""A localizer has fewer than this; a description that says otherwise of more slices is wrong."""

_MR_CLASSES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.5.1.4.1.1.4.1",
        "1.2.840.10008.5.1.4.1.1.4.3",
        "1.2.840.10008.5.1.4.1.1.4.4",
    }
)
"""MR Image, Enhanced MR Image, Enhanced MR Color, Legacy Converted Enhanced MR."""
_SCREENS: Final = frozenset(
    {"SCREEN SAVE", "SCREENSHOT", "SCREEN", "SECONDARY CAPTURE", "CAPTURE", "CSA REPORT", "PASTED"}
)
_MAPS: Final = words_of(
    "ADC EADC FA TRACE TRACEW DIFFUSION_FA DIFFUSION_ANISO CBF CBV RCBV RCBF MTT TTP TMAX TENSOR EXP PERFUSION_MAP "
    "T1_MAP T2_MAP T2STAR_MAP R2_MAP R2STAR_MAP QMAP B0_MAP B1_MAP RELCBV RELCBF RELMTT KTRANS STDDEV MEAN_DIFF"
) | {"T1 MAP", "T2 MAP", "T2* MAP", "R2 MAP", "R2* MAP", "B0 MAP", "B1 MAP", "PARAMETRIC", "COLOR"}
_PROJECTIONS: Final = frozenset(
    {
        "MIP",
        "MAX_IP",
        "MIN_IP",
        "MINIP",
        "MNIP",
        "COLLAPSE",
        "VRT",
        "VOLUME RENDERING",
        "VOLUME_RENDER",
        "MAX IP",
        "MIN IP",
    }
)
_SUBTRACTIONS: Final = frozenset({"SUBTRACTION", "SUB", "SUBTRACT", "SUBTRACTED"})
_REFORMATS: Final = frozenset({"MPR", "CSA MPR", "REFORMATTED", "CSAPARALLEL", "RESAMPLED", "AXIAL", "MPR_THICK"})
_FAT: Final = frozenset({"F", "FAT", "FAT_FRACTION", "FATFRACTION", "FAT FRACTION", "FF"})
_OPPOSED: Final = frozenset({"OP", "OPP", "OPP_PHASE", "OPPOSED_PHASE", "OUT_PHASE", "OUT PHASE", "OUTPHASE", "OOP"})
_MP2RAGE_PARTS: Final = frozenset({"UNI", "UNI-DEN", "DIV_IMAGE", "INV1", "INV2"})
_ANGIO_OPTIONS: Final = frozenset({"TOF", "PHASE_CONTRAST", "TONE", "ANGIO", "TIME_OF_FLIGHT", "VELOCITY"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One row of the table."""

    name: str
    """What a person reads as the reason."""
    holds: Callable[[Evidence], bool]
    kind: Kind


def _always(_: Evidence) -> bool:
    return True


def _says(meaning: Meaning) -> Callable[[Evidence], bool]:
    return lambda e: (
        meaning in e.description.meanings or (not e.description.meanings and meaning in e.protocol.meanings)
    )


def _gradient_says(meaning: Meaning) -> Callable[[Evidence], bool]:
    """Words count only where physics leaves it open: of a spin echo they would be wrong."""
    says = _says(meaning)
    return lambda e: says(e) and physics.gradient_echo(e) is not False


def _flair(e: Evidence) -> bool:
    """T2 weighting and an inversion that nulls fluid. Without TI: an inversion, a long TR, and nothing that differs."""
    if e.tr_ms is not None and e.tr_ms < 3500:
        return False
    if (e.te_ms is not None and e.te_ms < 60) or (e.te_ms is None and e.tr_ms is None):
        return False
    if physics.gradient_echo(e) is True:
        return False
    nulled = physics.suppresses_fluid(e)
    if nulled is not None:
        return nulled and (e.te_ms is not None or e.tr_ms is not None)
    if e.ti_ms is not None or _says(Meaning.OTHER_IR)(e):
        return False
    named = "flair" in e.pulse or "spcir" in e.pulse or e.contrast_kind == "FLUID_ATTENUATED"
    inverted = "IR" in e.scanning or "IR" in e.image_type or "tir" in e.pulse
    if named or inverted:
        return e.te_ms is not None and (e.tr_ms is not None or named)
    silent = not e.scanning - {"RM", "NONE"}  # a scanner that says SE and not IR made a T2, whatever its name
    return silent and _says(Meaning.FLAIR)(e) and (e.te_ms or 0) >= 70 and (e.tr_ms or 0) >= 4000


def _flair_of(dimension: bool) -> Callable[[Evidence], bool]:
    return lambda e: physics.volumetric(e) is dimension and _flair(e)


def _other_inversion(e: Evidence) -> bool:
    if physics.gradient_echo(e) is not False:
        return False
    inverted = "IR" in e.scanning or "IR" in e.image_type or "spcir" in e.pulse or e.ti_ms is not None
    return inverted and physics.t1_spin(e) is not True


def _confirmed(by_physics: bool | None, e: Evidence) -> bool:
    """What physics says; where a number is missing that it needs, the words may say that it is T1."""
    if by_physics is None:
        said = e.description.meanings
        return bool(said & {Meaning.T1, Meaning.T1_GRADIENT}) and not said & {Meaning.T2, Meaning.FLAIR}
    return by_physics


def _spin_t1(dimension: bool) -> Callable[[Evidence], bool]:
    def holds(e: Evidence) -> bool:
        if physics.volumetric(e) is not dimension or physics.gradient_echo(e) is not False:
            return False
        return _confirmed(physics.t1_spin(e), e)

    return holds


def _gradient_t1(dimension: bool) -> Callable[[Evidence], bool]:
    def holds(e: Evidence) -> bool:
        if physics.volumetric(e) is not dimension or physics.gradient_echo(e) is not True:
            return False
        return _confirmed(physics.t1_gradient(e), e)

    return holds


def _t1_unsure(e: Evidence) -> bool:
    echo = physics.gradient_echo(e)
    return (echo is False and physics.t1_spin(e) is True) or (echo is True and physics.t1_gradient(e) is True)


def _mp2rage(e: Evidence) -> bool:
    if physics.gradient_echo(e) is False:
        return False
    long = e.tr_ms is not None and e.tr_ms > 3500
    return (
        bool(e.image_type & _MP2RAGE_PARTS)
        or "mp2rage" in e.pulse
        or _says(Meaning.MP2RAGE)(e)
        or (long and physics.gradient_echo(e) is True and physics.volumetric(e) is not False)
    )


def _localizer(e: Evidence) -> bool:
    if "LOCALIZER" in e.image_type or "SCOUT" in e.image_type or "aahscout" in e.pulse or "loc" in e.pulse.split():
        return True
    if e.slices is not None and e.slices > 2 * LOCALIZER_SLICES and physics.t1_spin(e) is True:
        return False
    return _says(Meaning.LOCALIZER)(e) and (physics.gradient_echo(e) is not False or e.thickness_mm is None)


def _t2_star(e: Evidence) -> bool:
    if physics.gradient_echo(e) is not True:
        return False
    return (e.te_ms is not None and e.te_ms >= 11) or "swi" in e.pulse or "SWI" in e.image_type


def _angiography(e: Evidence) -> bool:
    if physics.gradient_echo(e) is False:
        return False
    if e.angio_flag or (e.variant | e.options | e.image_type) & _ANGIO_OPTIONS:
        return True
    if e.contrast_kind in {"TIME_OF_FLIGHT", "FLOW_ENCODED"} or physics.flow_compensated(e):
        return True
    return _says(Meaning.ANGIOGRAPHY)(e)


def _weak_t1_gradient(e: Evidence) -> bool:
    """A spoiled steady state far below its Ernst angle."""
    return physics.gradient_echo(e) is True and e.flip_deg is not None and physics.t1_gradient(e) is False


def _too_small(e: Evidence) -> bool:
    return e.slices is not None and e.slices < MINIMUM_SLICES


def _dynamic(e: Evidence) -> bool:
    several = e.temporal_positions is not None and e.temporal_positions > 1
    return several or "PERFUSION" in e.contrast_kind or _gradient_says(Meaning.DYNAMIC)(e)


def _projection(e: Evidence) -> bool:
    if e.image_type & _PROJECTIONS:
        return True
    if "PROJECTION IMAGE" in e.image_type and e.derived and not e.image_type & _REFORMATS:
        return not _says(Meaning.REFORMAT)(e)
    return _says(Meaning.PROJECTION)(e)


def _bolus_perfusion(e: Evidence) -> bool:
    return (
        physics.echo_planar(e)
        and not _says(Meaning.ASL)(e)
        and ("PERFUSION" in e.image_type or _says(Meaning.PERFUSION)(e) or "PERFUSION" in e.contrast_kind)
    )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        name="the SOP class or modality is not MR",
        holds=lambda e: (
            e.modality not in {"", "MR"} or (e.sop_class.startswith("1.2.") and e.sop_class not in _MR_CLASSES)
        ),
        kind=Kind.NOT_MR,
    ),
    Rule(
        name="the image type is a screen capture", holds=lambda e: bool(e.image_type & _SCREENS), kind=Kind.SCREENSHOT
    ),
    Rule(name="the description says screenshot or report", holds=_says(Meaning.SCREENSHOT), kind=Kind.SCREENSHOT),
    Rule(
        name="it names a phantom or quality check",
        holds=lambda e: "PHANTOM" in e.body_part or _says(Meaning.PHANTOM)(e),
        kind=Kind.PHANTOM,
    ),
    Rule(
        name="spectroscopy by image type",
        holds=lambda e: "SPECTROSCOPY" in e.image_type or "SPECTROSCOPY" in e.contrast_kind,
        kind=Kind.SPECTROSCOPY,
    ),
    Rule(name="the image type is a calculated map", holds=lambda e: bool(e.image_type & _MAPS), kind=Kind.MAP),
    Rule(name="phase or real part by image type", holds=lambda e: e.phase_image, kind=Kind.PHASE),
    Rule(
        name="labelled arterial spins",
        holds=lambda e: (
            "ASL" in e.image_type
            or "asl" in e.pulse
            or _gradient_says(Meaning.ASL)(e)
            or (_says(Meaning.ASL)(e) and e.te_ms is not None and e.te_ms < 60 and (e.tr_ms or 0) > 3000)
        ),
        kind=Kind.ASL,
    ),
    Rule(
        name="b-values or a diffusion image type",
        holds=lambda e: e.diffusion or e.contrast_kind == "DIFFUSION",
        kind=Kind.DIFFUSION,
    ),
    Rule(name="echo planar with a bolus", holds=_bolus_perfusion, kind=Kind.PERFUSION),
    Rule(
        name="echo planar diffusion",
        holds=lambda e: physics.echo_planar(e) and _says(Meaning.DIFFUSION)(e),
        kind=Kind.DIFFUSION,
    ),
    Rule(name="echo planar readout", holds=physics.echo_planar, kind=Kind.EPI),
    Rule(
        name="a subtraction by image type or description",
        holds=lambda e: bool(e.image_type & _SUBTRACTIONS) or _says(Meaning.SUBTRACTION)(e),
        kind=Kind.SUBTRACTION,
    ),
    Rule(name="a projection by image type or description", holds=_projection, kind=Kind.PROJECTION),
    Rule(
        name="the fat or opposed-phase part of a Dixon series",
        holds=lambda e: (
            bool(e.image_type & (_FAT | _OPPOSED)) or bool(e.description.meanings & {Meaning.FAT_PART, Meaning.OPPOSED})
        ),
        kind=Kind.DIXON_PART,
    ),
    Rule(name="several inversions (MP2RAGE), or one TR too long for an MPRAGE", holds=_mp2rage, kind=Kind.MP2RAGE),
    Rule(name="a localizer by image type or description", holds=_localizer, kind=Kind.LOCALIZER),
    Rule(name="too few slices", holds=_too_small, kind=Kind.TOO_SMALL),
    Rule(name="time points, or a dynamic series by its description", holds=_dynamic, kind=Kind.DYNAMIC),
    Rule(name="angiography by flag, sequence or description", holds=_angiography, kind=Kind.ANGIOGRAPHY),
    Rule(name="a gradient echo with a long TE", holds=_t2_star, kind=Kind.T2_STAR),
    Rule(name="susceptibility by its description", holds=_gradient_says(Meaning.SUSCEPTIBILITY), kind=Kind.T2_STAR),
    Rule(name="3D, long TR and TE, fluid nulled by its TI", holds=_flair_of(True), kind=Kind.FLAIR_3D),
    Rule(name="2D, long TR and TE, fluid nulled by its TI", holds=_flair_of(False), kind=Kind.FLAIR_2D),
    Rule(name="long TR and TE, fluid nulled by its TI", holds=_flair, kind=Kind.FLAIR_UNSURE),
    Rule(
        name="balanced steady state by sequence or flip angle",
        holds=lambda e: physics.gradient_echo(e) is not False and physics.balanced(e),
        kind=Kind.BSSFP,
    ),
    Rule(name="a balanced sequence by its description", holds=_gradient_says(Meaning.STEADY_STATE), kind=Kind.BSSFP),
    Rule(
        name="a field map by its sequence", holds=lambda e: "fm2d" in e.pulse or "fm3d" in e.pulse, kind=Kind.FIELD_MAP
    ),
    Rule(name="a field, B1 or T1 map by its description", holds=_gradient_says(Meaning.FIELD_MAP), kind=Kind.FIELD_MAP),
    Rule(name="a calculated map by its description", holds=_gradient_says(Meaning.MAP), kind=Kind.MAP),
    Rule(name="perfusion by its description", holds=_gradient_says(Meaning.PERFUSION), kind=Kind.DYNAMIC),
    Rule(name="3D spin echo with short TR and TE", holds=_spin_t1(True), kind=Kind.T1_TSE_3D),
    Rule(name="2D spin echo with short TR and TE", holds=_spin_t1(False), kind=Kind.T1_2D),
    Rule(name="an inversion that nulls something else than fluid", holds=_other_inversion, kind=Kind.OTHER_IR),
    Rule(name="3D gradient echo with T1 weighting", holds=_gradient_t1(True), kind=Kind.T1_GRE_3D),
    Rule(name="2D gradient echo with T1 weighting", holds=_gradient_t1(False), kind=Kind.T1_2D),
    Rule(name="T1 weighting by TR, TE and flip angle", holds=_t1_unsure, kind=Kind.T1_UNSURE),
    Rule(name="a gradient echo without T1 weighting", holds=_weak_t1_gradient, kind=Kind.PD),
    Rule(
        name="spin echo with a long TE",
        holds=lambda e: physics.gradient_echo(e) is not True and physics.t2_spin(e),
        kind=Kind.T2,
    ),
    Rule(
        name="long TR and short TE",
        holds=lambda e: physics.gradient_echo(e) is False and e.te_ms is not None and (e.tr_ms or 0) > 1300,
        kind=Kind.PD,
    ),
    Rule(name="its description says diffusion", holds=_says(Meaning.DIFFUSION), kind=Kind.DIFFUSION),
    Rule(name="it says too little", holds=_always, kind=Kind.UNKNOWN),
)


def kind_of(e: Evidence) -> Rule:
    """The first rule that holds; the last one always does."""
    return next(rule for rule in RULES if rule.holds(e))
