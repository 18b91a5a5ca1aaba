"""Logging of the worker process, as the node logs: sentences with facts, and no patient data.

Called by __main__. pydicom and highdicom quote values in their lines and warnings, so they are silenced; of Celery
and its transport only warnings stay (the broker is away). Celery itself configures nothing.
"""

import logging
from typing import Literal

from celery.signals import setup_logging
from pydantic import BaseModel, ConfigDict

from dicom_node.contract import log_lines

_TALKATIVE = ("pydicom", "highdicom")
_TRANSPORT = ("celery", "kombu", "amqp")


class LogSettings(BaseModel):
    """`[logs]` of quartet.toml, which the node shares and checks for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


def configure(settings: LogSettings) -> None:
    """Log to stderr from now on. Calling it again replaces what was configured."""
    log_lines.configure(level=settings.level, form=settings.format, talkative=_TALKATIVE)
    for name in _TRANSPORT:
        logging.getLogger(name).setLevel(logging.WARNING)
    setup_logging.connect(_leave_it)


def _leave_it(**_: object) -> None:
    """A receiver of this signal is what keeps Celery from setting levels and handlers of its own."""
