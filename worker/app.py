"""The Celery application of the worker process. Settings: measured in facts on Celery 5.7 and Redis 7.

The broker is a doorbell: tasks carry a job id and an attempt and have no result; the truth is the job folder and
the catalog. So a lost or doubled message is harmless, and nothing here retries.
"""

from typing import Any

from celery import Celery

from dicom_node.contract.messages import QUEUE_NAME

VISIBILITY_TIMEOUT_S = 21_600
"""Above the longest task; a shorter one makes Redis hand out a running task twice."""

CHILD_START_S = 600.0
"""The child loads the model before it reports for duty. By default Celery kills one that has not done so after 4 s, and
the next one likewise: on a busy machine no worker ever came up."""

HEALTH_CHECK_S = 10
"""A busy worker has asked the broker for nothing, and its task's acknowledgement is lost with the broker: without a
subscription that breaks, and a look at it now and then, it would count that task as its one for ever (kombu's QoS)."""


def make_app(broker_url: str, *, soft_time_limit_s: float = 1500.0, time_limit_s: float = 1800.0) -> Any:
    """A Celery app that takes doorbells of `QUEUE_NAME` one at a time."""
    app = Celery("quartet", broker=broker_url)
    app.conf.update(
        task_default_queue=QUEUE_NAME,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        task_soft_time_limit=soft_time_limit_s,
        task_time_limit=time_limit_s,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "health_check_interval": HEALTH_CHECK_S,
            "socket_keepalive": True,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_proc_alive_timeout=CHILD_START_S,
        worker_soft_shutdown_timeout=60.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=True,  # its subscription is how a loss of the broker in mid-task is noticed
        worker_send_task_events=False,
    )
    return app
