"""Logs of the node's processes: sentences with `extra`, as text or JSON lines on stderr, never patient data."""

import json
import logging
import sys

from dicom_node.settings import LogSettings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = " ".join(f"{k}={v}" for k, v in vars(record).items() if k not in _STANDARD)
        return super().format(record) + (f"  [{extra}]" if extra else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        fault = {"fault": self.formatException(record.exc_info)} if record.exc_info else {}
        line = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "from": record.name,
            "says": record.getMessage(),
        }
        return json.dumps(line | extra | fault, default=str)


def configure(settings: LogSettings) -> None:
    """Set up the root logger of this process. pynetdicom's own loggers, which print data sets, are silenced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json() if settings.format == "json" else _Text("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    for name in ("pynetdicom", "pydicom", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
