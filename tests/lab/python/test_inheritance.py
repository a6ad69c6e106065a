"""What a subclass promises, in which order parents are asked, and who refuses what is not finished."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.test import RequestFactory

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Enrollment, Learner, User
from lab.django_app.views import CourseList, course_list
from lab.python import inheritance, inheritance_samples
from lab.python.inheritance import (
    CanSend,
    Channel,
    Course,
    Email,
    InvitedCourse,
    Issuer,
    Logged,
    Numbered,
    Office,
    Pigeon,
    Postcard,
    Report,
    Telegram,
    WaitingCourse,
    WaitingList,
    WrongOffice,
    admit,
    greet,
    wrong_greet,
)
from lab.python.inheritance_samples import (
    Grades,
    GuardedGrades,
    InvitationCourse,
    WrongGrades,
    by_postcard,
    new_channel,
    welcome,
)
from lab.rest_apis.views import CourseViewSet
from scripts.pages import ROOT
from tests.lab.marks import recorded_on_5_2
from tests.recording.diagram import draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from django.views import View

    from tests.recording.files import Recorder

    Session = Callable[..., None]


# --8<-- [start:promise]
def check_a_full_course_refuses(make: Callable[..., Course]) -> None:
    course = make(seats=1)
    course.enroll("Ama")
    with pytest.raises(CannotEnroll):
        course.enroll("Kofi")
    assert course.learners == ["Ama"]


by_invitation = partial(InvitedCourse, invited=["Ama", "Kofi"])


@pytest.mark.parametrize("make", [Course, by_invitation])
def test_a_full_course_refuses(make: Callable[..., Course]) -> None:
    check_a_full_course_refuses(make)


# --8<-- [end:promise]


@pytest.mark.wrong("lab/python/inheritance.py:wrong_waiting")
def test_a_course_that_lets_people_wait_breaks_the_promise(session: Session) -> None:
    with pytest.raises(pytest.fail.Exception):
        check_a_full_course_refuses(WaitingCourse)
    session("inheritance_waiting.pycon", **vars(inheritance))
    course = WaitingCourse(seats=1)
    assert admit(course, ["Ama", "Kofi"]) == []
    assert (course.learners, course.waiting) == (["Ama"], ["Kofi"])
    assert not isinstance(WaitingList(course), Course)
    assert admit(InvitedCourse(9, ["Ama"]), ["Ama", "Kofi"]) == ["Kofi"]


@pytest.mark.wrong("lab/python/inheritance.py:wrong_diamond")
def test_super_asks_the_next_class_of_the_object(session: Session, record: Recorder) -> None:
    session("inheritance_diamond.pycon", **vars(inheritance))
    assert Office().issue("Ama") == ["numbered", "logged", "printed for Ama"]
    assert WrongOffice().issue("Ama") == ["numbered", "printed for Ama"]
    assert Logged().issue("Ama") == ["logged", "printed for Ama"]
    assert Office.__mro__ == (Office, Numbered, Logged, Issuer, object)
    with pytest.raises(TypeError, match="MRO"):
        type("Backwards", (Issuer, Logged), {})
    source = (ROOT / "lab/python/diagrams/inheritance.dot").read_text(encoding="utf-8")
    record(
        "inheritance.svg",
        draw(
            source,
            title="The diamond and its order",
            description="Office has the parents Numbered and Logged, and both have the parent Issuer. Dashed arrows "
            "show the order of super(): from Office to Numbered, from there to Logged, and then to Issuer.",
        ),
    )


@pytest.mark.wrong("lab/python/inheritance_samples.py:wrong_grades")
def test_a_mixin_on_the_wrong_side_guards_nothing(academy: None, session: Session) -> None:
    ama = User.objects.get(email="ama@example.com")

    def ask(view: type[View]) -> int:
        request = RequestFactory().get("/")
        request.user = ama
        try:
            return view.as_view()(request).status_code
        except PermissionDenied:
            return 403

    session("inheritance_mixins.pycon", ask=ask, **vars(inheritance_samples))
    assert [ask(view) for view in (Grades, GuardedGrades, WrongGrades)] == [200, 403, 200]
    ama.user_permissions.add(Permission.objects.get(codename="view_enrollment"))
    ama = User.objects.get(pk=ama.pk)
    assert ask(GuardedGrades) == 200
    assert Enrollment.objects.exclude(grade=None).exists()


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of the section wrong_types, without the comments that silence it."""
    pytest.importorskip("mypy")
    folder: Path = tmp_path_factory.mktemp("types")
    text = (ROOT / "lab/python/inheritance_samples.py").read_text(encoding="utf-8")
    section = text.split("[start:wrong_types]\n")[1].split("# --8<--")[0]
    parents = (ROOT / "lab/python/inheritance.py").read_text(encoding="utf-8")
    parents = parents.replace("from lab.academy.enrolling import CannotEnroll", "class CannotEnroll(Exception): ...")
    (folder / "inheritance.py").write_text(parents, encoding="utf-8")
    head = "from inheritance import CanSend, Channel, Course, Pigeon, Postcard\n"
    (folder / "samples.py").write_text(head + re.sub(r"  # type: ignore.*", "", section), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.cache", "samples.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    return re.sub(r"(?m)^samples\.py:\d+: ", "", run.stdout)


@pytest.mark.slow
@pytest.mark.wrong("lab/python/inheritance_samples.py:wrong_types")
def test_what_a_type_checker_refuses(complaints: str, record: Recorder) -> None:
    errors = re.findall(r"error: .*\[([\w-]+)\]", complaints)
    assert errors == ["override", "arg-type", "abstract"]
    lines = complaints.splitlines()
    record("inheritance_mypy.txt", "\n".join(line for line in lines if line.startswith("error")))
    assert "WaitingCourse" not in complaints
    with pytest.raises(TypeError, match="code"):
        admit(InvitationCourse(1), ["Ama"])
    invited = InvitationCourse(1)
    invited.enroll("Ama", "secret")
    assert invited.learners == ["Ama"]


@pytest.mark.wrong("lab/python/inheritance_samples.py:wrong_types")
def test_who_refuses_an_unfinished_channel_when(session: Session) -> None:
    session("inheritance_channels.pycon", **vars(inheritance))
    for channel in (Email(), Telegram()):
        assert isinstance(channel, CanSend)
        assert welcome(channel).endswith(" to Ama: Welcome")
    assert isinstance(Email(), Channel)
    with pytest.raises(TypeError, match="abstract"):
        new_channel()
    assert issubclass(Pigeon, Channel), "the class itself is allowed; its objects are not"
    with pytest.raises(TypeError, match="positional"):
        by_postcard()
    assert Postcard().send("Welcome") == "Welcome"

    class Registered(Channel):
        """A class of its own, to leave the other as it is."""

    Registered.register(Postcard)
    assert isinstance(Postcard(), Registered), "nobody looked at its method"


@pytest.mark.wrong("lab/python/inheritance.py:wrong_names")
def test_ask_for_what_you_need(academy: None, session: Session) -> None:
    session("inheritance_names.pycon", greet=greet, wrong_greet=wrong_greet)
    names = Learner.objects.filter(name__in=["Ama", "Kofi"]).values_list("name", flat=True)
    several = [["Ama", "Kofi"], ("Ama", "Kofi"), {"Ama": 1, "Kofi": 2}, names]
    for kind in several:
        assert greet(kind) == ["Welcome, Ama", "Welcome, Kofi"]
        if not isinstance(kind, list):
            with pytest.raises(TypeError, match="must be a list"):
                wrong_greet(kind)
    assert wrong_greet(["Ama"]) == greet("Ama") == ["Welcome, Ama"]


@pytest.fixture
def registry() -> Iterator[None]:
    """Forget the reports that a test adds."""
    before = dict(Report.kinds)
    yield
    Report.kinds.clear()
    Report.kinds.update(before)


def test_subclasses_enter_themselves(session: Session, registry: None) -> None:
    session("inheritance_registry.pycon", Report=Report)
    rows = [("Ama", "passed"), ("Kofi", "no grade")]
    assert Report.kinds["text"]().write(rows) == "Ama: passed\nKofi: no grade"
    with pytest.raises(TypeError, match="kind"):
        type("Forgotten", (Report,), {})
    added: Any = type("JsonReport", (Report,), {}, kind="json")
    assert Report.kinds["json"] is added
    with pytest.raises(NotImplementedError):
        added().write(rows)


def work(view: Callable[..., Any], parents: tuple[type, ...]) -> tuple[int, int]:
    """Return how many methods of how many classes one request runs."""
    code = {
        function.__code__: kind
        for kind in parents
        for value in vars(kind).values()
        if hasattr(function := getattr(value, "fget", None) or getattr(value, "__func__", value), "__code__")
    }
    ran = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code in code:
            ran.add(frame.f_code)

    request = RequestFactory().get("/", headers={"accept": "application/json"})
    request.user = User.objects.get(email="ama@example.com")
    sys.setprofile(note)
    try:
        response = view(request)
        if hasattr(response, "render"):
            response.render()
    finally:
        sys.setprofile(None)
    assert response.status_code == 200
    return len(ran), len({code[item] for item in ran})


@recorded_on_5_2("other releases have other methods")
def test_the_price_of_a_deep_tree(academy: None, record: Recorder) -> None:
    assert course_list(RequestFactory().get("/")).status_code == 200
    rows = [
        "| The list of courses as | Classes above it | In modules | Methods that one request runs | of classes |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| function, `course_list` | 0 | 0 | 1 function | 0 |",
    ]
    counts = []
    for shown, kind, view in (
        ("Django's `ListView`", CourseList, CourseList.as_view()),
        ("view set of the REST API", CourseViewSet, CourseViewSet.as_view({"get": "list"})),
    ):
        parents = kind.__mro__[1:-1]
        modules = {parent.__module__ for parent in parents}
        methods, classes = work(view, kind.__mro__[:-1])
        counts.append((len(parents), methods))
        rows.append(f"| {shown} | {len(parents)} | {len(modules)} | {methods} | {classes} |")
    (some, fewer), (many, more) = counts
    assert some >= 6
    assert many > some
    assert more > fewer > 5
    record("inheritance_depth.md", "\n".join(rows))
