"""The print shop that certificates go to: another company's server, at PRINTER_URL."""

from __future__ import annotations

import os
from urllib.error import HTTPError

from lab.asynchronous.upstream import ask

TIMEOUT = 20  # seconds


# --8<-- [start:have_printed]
def have_printed(number: str) -> str:
    """Have a certificate printed and posted; return its number when that is done."""
    return ask(f"{os.environ['PRINTER_URL']}/held/{number}", timeout=TIMEOUT)


# --8<-- [end:have_printed]


# --8<-- [start:try_again]
class TryAgain(Exception):  # noqa: N818  (it says what to do)
    """The print shop did not print, and may do so later."""


def order(number: str) -> str:
    """Have a certificate printed, or say whether to try again."""
    try:
        return have_printed(number)
    except HTTPError as error:
        error.close()
        if error.code not in {429, 502, 503, 504}:
            raise
        raise TryAgain(f"the print shop says {error.code}") from error
    except OSError as error:  # no connection, no answer in time
        raise TryAgain("the print shop does not answer") from error


# --8<-- [end:try_again]
