"""What a program says about its work: for whom, how much, and what never."""

from __future__ import annotations

import datetime
import json
import logging
import secrets
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from django.http import HttpRequest, HttpResponse

# --8<-- [start:import_grades]
logger = logging.getLogger("academy.grades")  # in a module of yours: __name__


def import_grades(lines: Iterable[str]) -> dict[str, int]:
    """Return the grades in a file; a line without one is left out."""
    grades = {}
    for number, line in enumerate(lines, 1):
        name, _, text = line.partition(",")
        logger.debug("line %d: %r", number, line)
        try:
            grades[name] = int(text)
        except ValueError:
            logger.warning("line %d has no grade: %r", number, line)
    logger.info("grades imported: %d", len(grades))
    return grades


# --8<-- [end:import_grades]


# --8<-- [start:config]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"academy": {"level": "INFO"}},
}
# --8<-- [end:config]

# --8<-- [start:wrong_config]
WRONG_LOGGING = {
    **LOGGING,
    "loggers": {"academy": {"level": "INFO", "handlers": ["console"]}},
}
# --8<-- [end:wrong_config]


# --8<-- [start:wrong_issue]
def wrong_issue(upload: Mapping[str, Any]) -> None:
    """Issue a certificate."""
    try:
        logger.info("certificate for %s: %d", upload["learner"], upload["grade"])
    except Exception as error:
        logger.error(f"no certificate: {error}")


# --8<-- [end:wrong_issue]


# --8<-- [start:issue]
def issue(upload: Mapping[str, Any]) -> None:
    """Issue a certificate."""
    try:
        logger.info("certificate for %s: %d", upload["learner"], upload["grade"])
    except Exception:
        logger.exception("no certificate for %s", upload.get("learner"))


# --8<-- [end:issue]


# --8<-- [start:wrong_report]
def wrong_report(report: object) -> None:
    """Note a report for whoever looks for a mistake."""
    logger.debug(f"report: {report}")


# --8<-- [end:wrong_report]


# --8<-- [start:report]
def report(report: object) -> None:
    """Note a report for whoever looks for a mistake."""
    logger.debug("report: %s", report)


# --8<-- [end:report]


# --8<-- [start:wrong_connect]
def wrong_connect() -> None:
    """Connect to the payment provider, in a library that others import."""
    logging.warning("the certificate of the provider expires soon")


# --8<-- [end:wrong_connect]


# --8<-- [start:wrong_sign_in]
def wrong_sign_in(form: Mapping[str, str]) -> None:
    """Note that somebody could not sign in."""
    logger.warning("sign-in failed: %s", form)
    logger.warning("sign-in failed for " + form["email"])


# --8<-- [end:wrong_sign_in]


# --8<-- [start:sign_in]
def sign_in(form: Mapping[str, str]) -> None:
    """Note that somebody could not sign in."""
    logger.warning("sign-in failed for %r", form["email"][:80])


# --8<-- [end:sign_in]


# --8<-- [start:json_lines]
class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON, with all that came as extra."""

    usual = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{
                key: value
                for key, value in vars(record).items()
                if key not in self.usual
            },
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


# --8<-- [end:json_lines]


# --8<-- [start:request_id]
request_id: ContextVar[str] = ContextVar("request_id", default="-")


class WithRequestId(logging.Filter):
    """Gives each record the id of the request in which it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with one more attribute."""
        record.request_id = request_id.get()
        return True


class RequestId:
    """Middleware: gives each request an id, and tells it to the client."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        token = request_id.set(secrets.token_hex(4))
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id.get()
            return response
        finally:
            request_id.reset(token)


# --8<-- [end:request_id]

# --8<-- [start:json_config]
JSON_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": WithRequestId}},
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["request"],
            "formatter": "json",
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
}
# --8<-- [end:json_config]
