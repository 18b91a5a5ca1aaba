"""Rings the workers over Celery. A doorbell carries a job id and an attempt and nothing else.

A broker that is down is no fault of the job: `ring` says False, and dispatch tries again.
"""

import logging
from dataclasses import asdict
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from dicom_node.contract.messages import QUEUE_NAME, TASK_NAME, Doorbell

log = logging.getLogger(__name__)

VISIBILITY_TIMEOUT_S = 21_600
"""As in worker/app.py: both sides of one broker must agree."""
CONNECT_TIMEOUT_S = 3.0


class CeleryDoorbell:
    """Sends doorbells to the queue of the workers."""

    def __init__(self, broker_url: str) -> None:
        self._app: Any = Celery("quartet", broker=broker_url)
        self._app.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            task_default_queue=QUEUE_NAME,
            broker_transport_options={
                "visibility_timeout": VISIBILITY_TIMEOUT_S,
                "socket_connect_timeout": CONNECT_TIMEOUT_S,
                "socket_timeout": CONNECT_TIMEOUT_S,
                "max_retries": 0,
            },
        )

    def ring(self, doorbell: Doorbell) -> bool:
        """Ring once, without waiting for anyone. False where the broker does not answer."""
        try:
            self._app.send_task(TASK_NAME, kwargs=asdict(doorbell), queue=QUEUE_NAME, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("The broker does not answer; the job stays owed.", extra={"fault": type(error).__name__})
            return False
        return True

    def close(self) -> None:
        """Give the connection to the broker back."""
        self._app.close()
