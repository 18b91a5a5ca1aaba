"""Derived UIDs are valid, follow from their parts only, and no two lists of parts share one."""

import re

from worker.results.uids import derive_uid


def test_the_same_parts_give_the_same_uid_in_every_process() -> None:
    assert derive_uid("a") == "2.25.78556527361325075225961833706058362748", (
        "a change here renames every result ever sent"
    )


def test_borders_and_order_of_the_parts_count() -> None:
    uids = {
        derive_uid("ab", "c"),
        derive_uid("a", "bc"),
        derive_uid("c", "ab"),
        derive_uid("abc"),
        derive_uid("ab", "c", ""),
    }
    assert len(uids) == 5


def test_the_form_is_that_of_the_standard() -> None:
    for n in range(200):
        uid = derive_uid(str(n))
        assert len(uid) <= 64
        assert re.fullmatch(r"2\.25\.[1-9]\d*", uid)
