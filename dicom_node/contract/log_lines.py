"""How every process of Quartet logs: one sentence with its facts, on stderr, as text or as JSON lines.

Called by dicom_node/logs and worker/logs. No patient data, ever: our own sentences carry our own ids; the text of an
unexpected error and the warnings of libraries may quote a data set, so neither is written.
"""

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_WARNINGS = "py.warnings"


def configure(*, level: str, form: str, talkative: Iterable[str]) -> None:
    """Log to stderr from now on; calling it again replaces what was configured.

    form: text or json. talkative: libraries that log what they transport; they are silenced, our own code says what
    failed.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    silence([_WARNINGS, *talkative])


def silence(loggers: Iterable[str]) -> None:
    """Keep the lines of these loggers out, at any level of ours."""
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Text(logging.Formatter):
    """2026-03-01T10:00:00Z INFO    An association ended: released  objects=176 seconds=0.6."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={_one_line(value)}" for name, value in _facts(record).items())
        line = f"{_time(record)} {record.levelname:<7} {_one_line(record.getMessage())}"
        return "\n".join(filter(None, [f"{line}  {facts}".rstrip(), _trace(record)]))


class _Json(logging.Formatter):
    """One object a line: time, level, logger, message, and the facts beside them."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in _facts(record).items() if name not in entry}
        trace = _trace(record)
        if trace:
            entry["trace"] = trace
        return json.dumps(entry, ensure_ascii=True, default=str)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    """What was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(value: object) -> str:
    """A value that a peer sent cannot begin a line of its own, nor move the cursor of a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))


def _trace(record: logging.LogRecord) -> str:
    """Where an unexpected error came from: places and types. Its text may quote data, so it stays out."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    lines: list[str] = []
    error: BaseException | None = record.exc_info[1]
    while error is not None and len(lines) < 100:
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
            trace = trace.tb_next
        lines.append(type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines)
