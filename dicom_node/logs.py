"""Logging of every process of the node: contract/log_lines, and no line of the libraries that see patient data.

Called once by each command of cli.py. Libraries that print data sets, commands or statements (pynetdicom, pydicom,
SQLAlchemy) are silenced; our own code says what failed.
"""

from dicom_node.contract import log_lines
from dicom_node.settings import LogSettings

_TALKATIVE = ("pynetdicom", "pydicom", "sqlalchemy", "httpx", "httpcore", "celery", "kombu", "amqp")
"""Libraries that log what they transport."""


def configure(settings: LogSettings) -> None:
    """Log to stderr from now on. Calling it again replaces what was configured."""
    log_lines.configure(level=settings.level, form=settings.format, talkative=_TALKATIVE)
    silence_libraries()


def silence_libraries() -> None:
    """Keep data sets, command sets and statements of libraries out of every log, at any level of ours."""
    log_lines.silence(_TALKATIVE)
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
