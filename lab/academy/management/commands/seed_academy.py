"""``python lab/manage.py seed_academy --courses 200 --learners 5000``."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from lab.academy.models import Enrollment
from lab.academy.seed import seed


class Command(BaseCommand):
    """Fills an empty academy with the same data every time."""

    help = "Fill an empty academy: the same learners, courses and enrollments for the same numbers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say how much."""
        parser.add_argument("--courses", type=int, default=20)
        parser.add_argument("--learners", type=int, default=200)
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="leave an academy with data as it is",
        )

    def handle(self, *, courses: int, learners: int, if_empty: bool, **_: Any) -> None:
        """Make the data; end with one line if the numbers or the academy do not allow it."""
        if courses < 1 or learners < 1:
            raise CommandError("--courses and --learners take a number of 1 or more")
        try:
            seed(courses, learners)
        except ValueError as error:
            if if_empty:
                return
            raise CommandError(
                f"Nothing was made: {error}. Empty it first: manage.py flush"
            ) from error
        self.stdout.write(
            f"{courses} courses, {learners} learners, {Enrollment.objects.count()} enrollments"
        )
