"""The Celery settings of the worker are those that were measured (facts on Celery 5.7 and Redis 7)."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from celery.concurrency.prefork import TaskPool

from worker.app import CHILD_START_S, HEALTH_CHECK_S, make_app

MEASURED = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": False,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_prefetch_multiplier": 1,
    "task_soft_time_limit": 1500.0,
    "task_time_limit": 1800.0,
    "broker_transport_options": {
        "visibility_timeout": 21_600,
        "health_check_interval": HEALTH_CHECK_S,
        "socket_keepalive": True,
    },
    "worker_enable_remote_control": True,
    "broker_connection_max_retries": None,
    "worker_soft_shutdown_timeout": 60.0,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_proc_alive_timeout": CHILD_START_S,
}


def test_the_measured_settings_are_in_force() -> None:
    conf = make_app("redis://127.0.0.1:1/0").conf
    assert {name: conf[name] for name in MEASURED} == MEASURED
    assert conf.task_time_limit < conf.broker_transport_options["visibility_timeout"]


def test_a_child_may_take_minutes_to_load_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's own default of 4 s killed each child of a busy machine while it loaded, without end."""
    given: dict[str, object] = {}
    monkeypatch.setattr(TaskPool, "Pool", lambda *_, **options: given.update(options) or MagicMock())
    TaskPool(limit=1, app=make_app("redis://127.0.0.1:1/0"), threads=False).on_start()
    assert given["proc_alive_timeout"] == CHILD_START_S >= 300


def test_a_machine_without_the_worker_extra_is_told_so(tmp_path: Path) -> None:
    config = tmp_path / "quartet.toml"
    config.touch()
    program = (
        "import sys; sys.modules['torch'] = None\n"
        f"sys.argv = ['worker', '--config', {str(config)!r}, '--check']\n"
        "from worker.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "quartet worker: torch is not installed here: pip install '.[worker]'\n"
