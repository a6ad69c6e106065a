"""Classes that the running lab does not load."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.academy import models
    from lab.python.classes import Course


# --8<-- [start:wrong_office]
class WrongOffice:
    """Enrolls learners and welcomes them."""

    def __init__(self) -> None:
        self.server = smtplib.SMTP("mail.academy.example")

    def admit(self, learner: str, course: Course) -> None:
        """Give a learner a seat, and say so."""
        course.enroll(learner)
        message = EmailMessage()
        message["From"], message["To"] = "office@academy.example", learner
        message["Subject"] = f"Welcome to {course.title}"
        self.server.send_message(message)


# --8<-- [end:wrong_office]


# --8<-- [start:wrong_property]
class CourseCard:
    """What a page shows of a course."""

    def __init__(self, course: models.Course) -> None:
        self.course = course

    @property
    def free(self) -> int:
        """How many seats are left."""
        return self.course.seats - self.course.enrollments.count()


# --8<-- [end:wrong_property]
