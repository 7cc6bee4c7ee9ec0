"""Logs as one JSON object a line: time, level, event, and the facts of the event."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""What every record has; everything else is a fact of its event."""


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON. Facts are what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        value: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: fact for name, fact in vars(record).items() if name not in _OWN},
        }
        if isinstance(value.get("reason"), str):
            value["reason"] = _redacted(str(value["reason"]))
        if record.exc_info:
            value["exception"] = _redacted(self.formatException(record.exc_info))
        return json.dumps(value, default=str, ensure_ascii=False)


def _redacted(text: str) -> str:
    """Take personal data out of what somebody else's code or an endpoint wrote about a failure."""
    # Only when something failed: a process that logs no failure does without the rules.
    from goldgate.agent.safety.personal_data import redact  # noqa: PLC0415

    return redact(text)[0]


_TALKATIVE: Final = {
    "httpx": logging.WARNING,  # one line for each request to an arm
    "httpx2": logging.WARNING,  # and for each to a model or an API server
    "uvicorn.error": logging.WARNING,  # its name notwithstanding, it tells its start and end
    "urllib3": logging.ERROR,  # one line for each retry, three a second while the registry is down
}


def log_as_json(*, level: int = logging.INFO) -> None:
    """Send every log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _TALKATIVE.items():
        logging.getLogger(name).setLevel(least)
