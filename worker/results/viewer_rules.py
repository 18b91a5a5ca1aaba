"""What must hold so that a result is shown, and shown right, by the viewers that people have: executable.

Called by write on every result before it is sent, and by `quartet lint`. The standard (PS3.3, PS3.16) is the authority;
the rules are where real viewers are stricter, each with its reason and the viewers that need it. They are
grouped by object in rules_all, rules_seg, rules_sr and rules_rt.
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from worker.results import rules_all, rules_rt, rules_seg, rules_sr
from worker.results.rule import NAMES, Finding, Rule, Subject, display_of

RULES: tuple[Rule, ...] = (*rules_all.RULES, *rules_seg.RULES, *rules_sr.RULES, *rules_rt.RULES)


def judge(datasets: Sequence[Dataset], display: Sequence[Dataset] | None = None) -> tuple[Finding, ...]:
    """Every rule that one of the data sets breaks, notes included.

    `datasets` go out together; `display` are the headers of the series under the overlay, None where unknown. A data
    set that is too broken for a rule to read breaks that rule.
    """
    shown = display_of(display) if display else None
    found: list[Finding] = []
    for dataset in datasets:
        subject = Subject(dataset=dataset, together=datasets, display=shown)
        sop_class = str(dataset.get("SOPClassUID", ""))
        for rule in RULES:
            if not rule.classes or sop_class in rule.classes:
                kind = NAMES.get(sop_class, "object")
                found.extend(Finding(rule=rule, kind=kind, message=message) for message in _messages(rule, subject))
    return tuple(found)


def lint(datasets: Sequence[Dataset], display: Sequence[Dataset] | None = None) -> tuple[Finding, ...]:
    """The findings for which a result is held back; empty where it may be sent."""
    return tuple(finding for finding in judge(datasets, display) if finding.rule.must)


def _messages(rule: Rule, subject: Subject) -> list[str]:
    try:
        return list(rule.check(subject))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        return [f"it cannot be read here ({type(error).__name__})"]
