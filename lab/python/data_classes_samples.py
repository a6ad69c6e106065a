"""Data classes, enumerations and patterns that are wrong on purpose."""

# ruff: noqa: F841, N806, RUF009, UP042  (they find the mistakes)

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum

from lab.python.data_classes import Level


# --8<-- [start:wrong_certificate]
@dataclass(frozen=True)
class WrongCertificate:
    """Says that a learner has passed."""

    learner: str
    number: uuid.UUID = uuid.uuid4()


# --8<-- [end:wrong_certificate]


# --8<-- [start:wrong_level]
class WrongLevel(str, Enum):
    """How much a course expects."""

    BEGINNER = "beginner"
    ADVANCED = "advanced"


# --8<-- [end:wrong_level]


# --8<-- [start:wrong_advice]
ADVANCED = Level.ADVANCED


def wrong_advice(level: Level) -> str:
    """Return what a course of this level expects."""
    match level:
        case Level.BEGINNER:
            return "no experience needed"
        case ADVANCED:
            return "for professionals"


# --8<-- [end:wrong_advice]
