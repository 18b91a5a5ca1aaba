"""Parts that run apart, with Debian's Redis and PostgreSQL; Redis emptied and killed in mid-job; a catalog lost."""

from pathlib import Path

import pytest
import redis
from support.databases import postgresql_database, postgresql_folder
from support.demo_pacs import running_pacs
from support.node import running_node
from support.node_apart import PARTS, redis_server, running_apart
from support.studies import write_study

__all__ = ["postgresql_folder"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_redis_flushed_and_killed_in_mid_job_loses_nothing(tmp_path: Path, postgresql_folder: Path) -> None:
    """One study is in work and one comes while Redis is away; both results arrive once, and all parts stop in order."""
    first, second = (write_study(tmp_path / name, patient=name, sequences=("BRAVO",)) for name in ("A", "B"))
    with (
        running_pacs() as pacs,
        redis_server(tmp_path) as server,
        postgresql_database(postgresql_folder) as catalog,
        running_apart(tmp_path / "node", server, catalog, destinations={"PACS": pacs.port}) as apart,
    ):
        node = apart.node
        assert set(node.send(first.files)) == {0}
        node.wait_until(lambda: list(node.storage.glob("jobs/*/attempt-1")), every_s=0.05)
        with redis.Redis(port=server.port) as client:
            client.flushall()
        server.kill()
        assert set(node.send(second.files)) == {0}
        node.wait_until(lambda: len(pacs.got) == 2)
        node.wait_until(lambda: len(list(node.storage.glob("jobs/*/request.json"))) == 2)
        assert len(pacs.got) == 2
        server.start()
        node.wait_until(lambda: len(pacs.got) == 4)
        listed = node.quartet("studies").stdout
        assert listed.count(" done ") == 2
        assert len(set(pacs.uids)) == 4
        assert not (node.storage / "catalog.sqlite").exists()
        assert apart.stop() == dict.fromkeys(PARTS, 0)
        assert len(pacs.uids) == 4


def test_any_part_that_runs_apart_may_be_killed(tmp_path: Path, postgresql_folder: Path) -> None:
    """Receiver, coordinator and worker die by SIGKILL in mid-job and are started again: one result, nothing lost."""
    study = write_study(tmp_path / "A", patient="A", sequences=("BRAVO",))
    with (
        running_pacs() as pacs,
        redis_server(tmp_path) as server,
        postgresql_database(postgresql_folder) as catalog,
        running_apart(tmp_path / "node", server, catalog, destinations={"PACS": pacs.port}, lease_s=5.0) as apart,
    ):
        node = apart.node
        assert set(node.send(study.files)) == {0}
        node.wait_until(lambda: list(node.storage.glob("jobs/*/attempt-1")), every_s=0.05)
        for part in PARTS:
            apart.kill(part)
        apart.start(*PARTS)
        node.wait_until(lambda: len(pacs.got) == 2)
        assert len(list(node.storage.glob("instances/*/*.dcm"))) == len(study.files)
        assert len(set(pacs.uids)) == 2
        node.wait_until(lambda: " done " in node.quartet("studies").stdout, every_s=1.0)


def test_a_lost_catalog_is_rebuilt_and_the_same_results_go_out_again(tmp_path: Path) -> None:
    """As the runbook says: the same UIDs and bytes, without another run of the model."""
    study = write_study(tmp_path / "A", patient="A", sequences=("BRAVO",))
    with running_pacs() as pacs, running_node(tmp_path / "node", destinations={"PACS": pacs.port}) as node:
        assert set(node.send(study.files)) == {0}
        node.wait_until(lambda: len(pacs.got) == 2)
        node.stop()
        for path in node.storage.glob("catalog.sqlite*"):
            path.unlink()
        outcome = next(node.storage.glob("jobs/*/outcome/outcome.json")).stat().st_mtime_ns
        node.start()
        node.wait_until(lambda: len(pacs.got) == 4)
        assert pacs.got[2:] == pacs.got[:2]
        node.wait_until(lambda: " done " in node.quartet("studies").stdout, every_s=1.0)
        assert [path.stat().st_mtime_ns for path in node.storage.glob("jobs/*/outcome/outcome.json")] == [outcome]
