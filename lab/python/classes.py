"""What a class is for: data, and the rules that guard it, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from lab.academy.enrolling import CannotEnroll

if TYPE_CHECKING:
    from collections.abc import Iterator


# --8<-- [start:course]
class Course:
    """Something to learn, with a limited number of seats."""

    def __init__(self, title: str, seats: int) -> None:
        self._learners: list[str] = []
        self.title = title
        self.seats = seats

    def enroll(self, learner: str) -> None:
        """Give a learner a seat."""
        if learner in self._learners:
            raise CannotEnroll("you have joined this course before")
        if self.free < 1:
            raise CannotEnroll("the course is full")
        self._learners.append(learner)

    @property
    def free(self) -> int:
        """How many seats are left."""
        return self.seats - len(self._learners)


# --8<-- [end:course]


# --8<-- [start:methods]
class Grade:
    """Points out of a hundred."""

    pass_mark = 50  # belongs to the class: one for all grades

    def __init__(self, points: int) -> None:
        self.points = points  # belongs to this grade

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Make a grade of "71" or "71 %"."""
        return cls(int(text.removesuffix("%")))

    def passed(self) -> bool:
        """Tell whether the grade is enough."""
        return self.points >= self.pass_mark


class ExamGrade(Grade):
    """A grade of an exam, which asks for more."""

    pass_mark = 60


# --8<-- [end:methods]


# --8<-- [start:wrong_from_text]
class WrongGrade:
    """Points out of a hundred."""

    pass_mark = 50

    def __init__(self, points: int) -> None:
        self.points = points

    @staticmethod
    def from_text(text: str) -> WrongGrade:
        """Make a grade of "71" or "71 %"."""
        return WrongGrade(int(text.removesuffix("%")))


class WrongExamGrade(WrongGrade):
    """A grade of an exam, which asks for more."""

    pass_mark = 60


# --8<-- [end:wrong_from_text]


# --8<-- [start:property]
class GuardedCourse(Course):
    """A course whose seats cannot fall below the number of its learners."""

    @property
    def seats(self) -> int:
        """How many may learn."""
        return self._seats

    @seats.setter
    def seats(self, number: int) -> None:
        taken = len(self._learners)
        if number < taken:
            raise ValueError(f"{taken} seats are taken")
        self._seats = number


# --8<-- [end:property]


# --8<-- [start:wrong_roster]
class WrongRoster(list[str]):
    """A list of learners that refuses one too many."""

    def __init__(self, seats: int) -> None:
        super().__init__()
        self.seats = seats

    def append(self, learner: str) -> None:
        """Add a learner, while there are seats."""
        if len(self) >= self.seats:
            raise CannotEnroll("the course is full")
        super().append(learner)


# --8<-- [end:wrong_roster]


# --8<-- [start:roster]
class Roster:
    """The learners of a course; it refuses one too many."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._learners: list[str] = []

    def add(self, learner: str) -> None:
        """Add a learner, while there are seats."""
        if len(self) >= self.seats:
            raise CannotEnroll("the course is full")
        self._learners.append(learner)

    def __len__(self) -> int:
        return len(self._learners)

    def __iter__(self) -> Iterator[str]:
        return iter(self._learners)


# --8<-- [end:roster]


# --8<-- [start:mangling]
class Certificate:
    """Says that a learner has passed."""

    def __init__(self, learner: str) -> None:
        self._learner = learner  # by convention: not yours
        self.__copies = 0  # stored as _Certificate__copies

    def issue(self) -> str:
        """Return the text, with the number of the copy."""
        self.__copies += 1
        return f"{self._learner} passed, copy {self.__copies}"


class Diploma(Certificate):
    """A certificate on heavy paper, of which there is a stock."""

    def __init__(self, learner: str) -> None:
        super().__init__(learner)
        self.__copies = 100  # stored as _Diploma__copies: no collision

    def stock(self) -> int:
        """Return how many sheets of it are left."""
        return self.__copies


# --8<-- [end:mangling]


# --8<-- [start:letter_class]
class Letter:
    """The text of a certificate."""

    def __init__(self, learner: str, course: str) -> None:
        self.learner = learner
        self.course = course

    def render(self) -> str:
        """Return the text."""
        return f"{self.learner} passed {self.course}."


# --8<-- [end:letter_class]


# --8<-- [start:letter_function]
def letter(learner: str, course: str) -> str:
    """Return the text of a certificate."""
    return f"{learner} passed {course}."


# --8<-- [end:letter_function]


# --8<-- [start:office]
class Channel(Protocol):
    """Whatever can bring a text to somebody."""

    def send(self, to: str, text: str) -> None:
        """Bring it there."""


class Office:
    """Enrolls learners and welcomes them."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def admit(self, learner: str, course: Course) -> None:
        """Give a learner a seat, and say so."""
        course.enroll(learner)
        self.channel.send(learner, f"Welcome to {course.title}")


# --8<-- [end:office]
