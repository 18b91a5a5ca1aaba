"""A Celery worker of ours and a real Redis that is killed: at rest, in the middle of a task, and again and again."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.node_apart import RedisServer, redis_server

from dicom_node.contract.messages import Doorbell
from dicom_node.jobs.doorbell import CeleryDoorbell

pytestmark = pytest.mark.timeout(400)
PATIENCE_S = 90.0
PROGRAM = """
import sys, time
from pathlib import Path
from dicom_node.contract.messages import QUEUE_NAME, TASK_NAME
from worker.app import make_app

folder = Path(sys.argv[2])

def run_job(job_id, attempt):
    (folder / f"{job_id}.begun").touch()
    time.sleep(2)
    (folder / f"{job_id}.done").touch()

app = make_app(sys.argv[1])
app.task(name=TASK_NAME)(run_job)
app.worker_main(["--quiet", "worker", "--pool=prefork", "--concurrency=1", f"--queues={QUEUE_NAME}",
                 "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"])
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def worker(tmp_path: Path, broker: RedisServer) -> "Iterator[subprocess.Popen[bytes]]":
    """With the settings of worker/app.py and a task that takes two seconds."""
    command = [sys.executable, "-c", PROGRAM, broker.url, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.terminate()
    try:
        process.wait(70)
    finally:
        process.kill()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_takes_the_next_job_whenever_the_broker_is_killed(
    tmp_path: Path, broker: RedisServer, worker: "subprocess.Popen[bytes]"
) -> None:
    """Killed in mid-task its acknowledgement is lost too; the worker ends its task and takes the next all the same."""
    bell = CeleryDoorbell(broker.url)
    for number in range(3):
        job = f"{number:016x}"
        assert bell.ring(Doorbell(job_id=job, attempt=1))
        wait_for((tmp_path / f"{job}.begun").exists)
        broker.kill()
        wait_for((tmp_path / f"{job}.done").exists)
        broker.start()
    broker.kill()  # at rest
    broker.start()
    assert bell.ring(Doorbell(job_id="f" * 16, attempt=1))
    wait_for((tmp_path / f"{'f' * 16}.done").exists)
    assert worker.poll() is None
    bell.close()
