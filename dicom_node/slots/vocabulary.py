"""The words themselves, lower case, without accents: contrast agent, kinds of image, regions of the body.

Only words.py reads this. Languages: English, German, French, Italian, Spanish, Portuguese, Dutch, Danish, Norwegian,
Swedish, Finnish, Polish, Czech, Hungarian, Romanian, Croatian, Turkish, Russian; signs for Chinese, Japanese, Korean.
"""

from enum import Enum


class Meaning(Enum):
    """What a word tells of a series, contrast agent apart."""

    FLAIR = "FLAIR"
    T1 = "T1"
    T2 = "T2"
    T1_GRADIENT = "T1 gradient echo"
    DIXON = "Dixon"
    FAT_PART = "fat part"
    OPPOSED = "opposed phase"
    DIFFUSION = "diffusion"
    MAP = "map"
    PERFUSION = "perfusion"
    DYNAMIC = "dynamic"
    ASL = "ASL"
    FIELD_MAP = "field map"
    SUSCEPTIBILITY = "susceptibility"
    ANGIOGRAPHY = "angiography"
    STEADY_STATE = "balanced"
    OTHER_IR = "STIR, DIR, PSIR"
    MP2RAGE = "MP2RAGE"
    LOCALIZER = "localizer"
    PROJECTION = "MIP"
    REFORMAT = "reformat"
    SUBTRACTION = "subtraction"
    PHANTOM = "phantom"
    SCREENSHOT = "screenshot"
    HEAD = "head"
    ELSEWHERE = "another body part"

    __hash__ = object.__hash__  # members are single; Enum's own hash is slow, and asked for forty times a series


def words_of(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


AGENTS = words_of(
    "gd gad gado gadolinium gadol gadolin gadovist gadavist dotarem magnevist multihance prohance omniscan clariscan "
    "artirem elucirem vueway pixxoscan dotagraf gadoterate gadobutrol gadoterat gadobenate gadoteridol gadopiclenol "
    "km kontrast kontrastmittel kontrastmiddel kontrastmedel kontrastiem kontraste kontrastem kontrastu kontrascie "
    "kontrastni contrast contrasto contraste contrastes contrastmiddel contr kontr mdc mezzo inj injection injektion "
    "injecte injectie inyeccion civ contrasten tehosteaine tehoste varjoaine kontrastom контраст контрастом контраста "
    "контрастирования kl cm gadolinio gadolineo dota kontrastmitteln kontrasztanyag kontrasztanyaggal ку"
)
"""Names of the agent, or of the giving of it."""
WITH = words_of(
    "w with mit m con com avec met med z s ze cu na nach post pos po dopo apres after despues depois efter etter "
    "jalkeen jalk p n posle nakon с после iv plus dupa sonrasi ile"
)
"""Before an agent's name: given."""
WITHOUT = words_of(
    "wo without no non not sans ohne o senza sin sem bez zonder uten utan uden ilman fara nem pre prae pred przed vor "
    "avant prima antes before voor for fore innan ennen inainte prije oncesi без до v u ss"
)
"""Before an agent's name: not given (yet)."""
WITHOUT_ALONE = words_of(
    "nativ native nativo nativa natif natywny natywne natywna nativni nativne nativan nativno nativt blanco blanko "
    "plain basale unenhanced unenh noncontrast noncon nonenhanced nongad precontrast pregad pregd prekm premdc "
    "precontraste precontrasto prekontrast prekontrastno okm ohnekm vorkm kontrastsiz minusagent noc wocontrast "
    "wogad wogd withoutcontrast ukontrast nat diretta dirette simple"
)
GIVEN_ALONE = words_of(
    "plusagent postgd postgad postgado postgadolinium postcontrast postcon postkm postmdc postcontraste postcontrasto "
    "postkontrast postkontrastno postinj posgd poscontraste mkm nkm pkm nachkm kmgabe mitkm kontrastli kontrastlı "
    "enhanced enh enhancement ce cemr t1ce t1c t1gd t1gad t1km t1kl gdt1 mprgd wgad wgd wcontrast withcontrast pogd "
    "dopogd dopomdc conmdc apresgado gadoinj postc postk ivcontrast ivkm mpragec contrastenhanced iniettato iniettata "
    "contrastato contrastata contrastado contrastada contrastee injectee kontrastirana kontrasztos"
)
SHORT_AGENTS = frozenset({"con", "c"})
"""After a negation these are an agent too."""
WITHOUT_LAST = frozenset({"wo", "without"})
"""At the end of a text these need no agent's name."""
AFTER_ALONE = words_of("post postiv")
BEFORE_ALONE = words_of("pre prae")
AND = words_of("and und et e y en og och i a ve ja si")
DENIED = words_of("no none nein non not minus nie kein keine nessuno ohne")
WEAK_LAST = words_of("c con plusatend gdc")
NOT_AGENT_NEIGHBOURS = words_of(
    "fossa fosse op operative operativ operatoire operation operatorio proc processing processed surgery surgical rt "
    "biopsy tx ictal treatment traumatic trauma mortem task stim training cerebellar central horn sat saturation scan "
    "chemo radiation cranial shim scanner train cal"
)
"""Beside 'pre' or 'post' these say that something else than contrast agent is meant."""
OTHER_CONTRASTS = words_of(
    "phase phasen mt mtc magnetization transfer high low multi suscept susceptibility soft tissue"
)
"""'phase contrast' and the like are no agent."""
GIVEN_SIGNS = ("造影", "增强", "增強", "조영증강", "조영후")
NONE_SIGNS = ("平扫", "平掃", "単純", "造影前", "조영전", "增强前")

_LISTS = {
    Meaning.FLAIR: "flair fluid darkfluid df dafl tirm t2flair flairt2 cubeflair",
    Meaning.T1: "t1 t1w t1wi t1tse t1se t1fse st1w st1 t1tra t1sag t1cor",
    Meaning.T2: "t2 t2w t2wi t2tse t2fse t2tra t2sag t2cor frfse",
    Meaning.T1_GRADIENT: "mprage mpr3d bravo fspgr spgr tfl vibe lava thrive tfe t1tfe efgre3d mpgr flash evibe",
    Meaning.DIXON: "dixon mdixon ideal flex qdixon",
    Meaning.FAT_PART: "fatonly",
    Meaning.OPPOSED: "outphase oppphase opposed oop outofphase",
    Meaning.DIFFUSION: "dwi dti diff diffusion diffusione difusion trace tracew ivim dki hardi resolve b1000 b0 tensor",
    Meaning.MAP: "adc eadc colfa rcbv rcbf cbv cbf mtt ttp tmax ktrans t1map t2map map mapit synthetic",
    Meaning.PERFUSION: "perf perfusion perfusione perfusie pwi dsc",
    Meaning.DYNAMIC: "dce dyn dynamic dynamik dinamico twist tricks keyhole timeresolved permeability",
    Meaning.ASL: "asl pcasl pasl pseudocasl 3dasl",
    Meaning.FIELD_MAP: "fieldmap fmap b0map b1map b1 tb1 afi b0field gremapping mpm vfa despot",
    Meaning.SUSCEPTIBILITY: "swi swan swip venbold qsm hemo medic merge minip swit2 t2star t2s fsbb",
    Meaning.ANGIOGRAPHY: "tof mra mrv angio angiography angiographie angiografia angiogram venography cemra qisda "
    "venogram phlebo pca inhance willis vessels",
    Meaning.STEADY_STATE: "fiesta ciss trufi truefisp bffe bssfp dess psif fisp cisi",
    Meaning.OTHER_IR: "stir dir psir tsestir doubleir",
    Meaning.MP2RAGE: "mp2rage mp2r memp2rage uni inv1 inv2",
    Meaning.LOCALIZER: "loc localizer localiser localizador localizzatore localisateur lokalizer scout survey surview "
    "smartbrain aahscout aascout aaheadscout aaheadscout32ch aahead aaspine pilot tripilot topogram planning "
    "planscan calib calibration calibrazione kalibrierung asset refscan senseref coilsurvey prescan shim bolustrack "
    "carebolus fluoro reperage loka ubersicht posizionamento centratore localisation",
    Meaning.PROJECTION: "mip mips minip vrt vr 3dvr radial curved mpvr projection",
    Meaning.REFORMAT: "mpr ref reformat reformatted rfmt recon rekon reko ricostruzione",
    Meaning.SUBTRACTION: "sub subtr subtraction subtract subtracted substraction subtraktion soustraction sottrazione "
    "sustraccion subtracao subtrahiert subtrakce odejmowanie",
    Meaning.PHANTOM: "phantom fantom fantoma fantome phantome acr qa qc",
    Meaning.SCREENSHOT: "screenshot screensave screencapture capture report summary dose",
    Meaning.HEAD: "brain head enc encefalo encephale cerebro cervello cranio crane cranium kopf schadel schaedel "
    "hersenen hoofd hjarna hode hjerne glowa mozg mozek beyin kafa skull cerveau cerebral neurocranium hirn neuro tete "
    "cabeza cabeca crani encefalico cranien mozku glava mozak creier aivot pea mozg",
    Meaning.ELSEWHERE: "spine cspine tspine lspine cervical thoracic lumbar sacrum colonna rachide rachis wirbelsaule "
    "hws bws lws kolonna vertebral columna coluna wervelkolom rygg kregoslup omurga lombare lombaire dorsale dorsal "
    "dorsolombare cervicale sacral myelo abdomen pelvis liver prostate breast knee shoulder hip wrist ankle foot heart "
    "cardiac chest thorax neck hals collo cou cuello thyroid parotid larynx extremity femur elbow hand "
    "becken leber prostata mamma knie schulter ginocchio spalla fegato bacino pelvi hrbtenica gerinc paravertebral "
    "wholespine totalspine",
}
MEANINGS = {word: meaning for meaning, words in _LISTS.items() for word in words.split()}
PHRASES = {
    ("dark", "fluid"): Meaning.FLAIR,
    ("da", "fl"): Meaning.FLAIR,
    ("black", "fluid"): Meaning.FLAIR,
    ("mp", "rage"): Meaning.T1_GRADIENT,
    ("mp", "2rage"): Meaning.MP2RAGE,
    ("t1", "map"): Meaning.MAP,
    ("t2", "map"): Meaning.MAP,
    ("t2", "star"): Meaning.SUSCEPTIBILITY,
    ("c", "spine"): Meaning.ELSEWHERE,
    ("t", "spine"): Meaning.ELSEWHERE,
    ("l", "spine"): Meaning.ELSEWHERE,
    ("field", "map"): Meaning.FIELD_MAP,
    ("gre", "field"): Meaning.FIELD_MAP,
    ("b1", "map"): Meaning.FIELD_MAP,
    ("b0", "map"): Meaning.FIELD_MAP,
    ("flip", "angle"): Meaning.FIELD_MAP,
    ("spin", "label"): Meaning.ASL,
    ("spin", "labeling"): Meaning.ASL,
    ("phase", "contrast"): Meaning.ANGIOGRAPHY,
    ("time", "flight"): Meaning.ANGIOGRAPHY,
    ("head", "scout"): Meaning.LOCALIZER,
    ("3", "plane"): Meaning.LOCALIZER,
    ("smart", "brain"): Meaning.LOCALIZER,
    ("ref", "scan"): Meaning.LOCALIZER,
    ("screen", "save"): Meaning.SCREENSHOT,
    ("out", "phase"): Meaning.OPPOSED,
    ("opp", "phase"): Meaning.OPPOSED,
    ("fat", "only"): Meaning.FAT_PART,
    ("quality", "assurance"): Meaning.PHANTOM,
}
"""Two words in a row."""
CANCELLED = {
    ("ref", "scan"): Meaning.REFORMAT,
    ("hand", "knob"): Meaning.ELSEWHERE,
    ("head", "neck"): Meaning.ELSEWHERE,
    ("cervical", "head"): Meaning.ELSEWHERE,
    ("trace", "back"): Meaning.DIFFUSION,
    ("b1", "norm"): Meaning.FIELD_MAP,
    ("b1", "corr"): Meaning.FIELD_MAP,
    ("b1", "filter"): Meaning.FIELD_MAP,
}
"""Two words in a row that take a meaning back."""
LAST_WORDS = {
    "f": Meaning.FAT_PART,
    "fat": Meaning.FAT_PART,
    "opp": Meaning.OPPOSED,
    "op": Meaning.OPPOSED,
    "out": Meaning.OPPOSED,
}
"""Endings by which scanners name the parts of a Dixon series."""

KNOWN = (
    frozenset(MEANINGS)
    | AGENTS | WITH | WITHOUT | WITHOUT_ALONE | GIVEN_ALONE | AFTER_ALONE | BEFORE_ALONE | DENIED
    | {word for pair in PHRASES for word in pair}
)  # fmt: skip
