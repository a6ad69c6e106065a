"""Work of the academy that nobody waits for."""

from __future__ import annotations

from celery import shared_task

from lab.academy.models import Certificate, Enrollment


# --8<-- [start:issue_certificates]
@shared_task
def issue_certificates(course: int) -> int:
    """Give everybody in a course whose grade is good enough a certificate.

    Doing it twice is doing it once: an enrollment earns one certificate at most.

    Args:
        course: The key of the course.

    Returns:
        How many certificates are new.
    """
    earned = Enrollment.objects.filter(
        course_id=course, grade__gte=Certificate.FROM_GRADE, certificate=None
    )
    return sum(Certificate.objects.get_or_create(enrollment=seat)[1] for seat in earned)


# --8<-- [end:issue_certificates]
