"""What the page about forms says, on the wire and by calling the forms."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

import pytest
from django.contrib.messages import get_messages
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, transaction
from django.forms import modelform_factory
from django.http import QueryDict
from django.template.loader import render_to_string
from django.test import Client

from lab.academy.models import Course, Enrollment, Learner, User
from lab.django_app import forms
from tests.lab.marks import recorded_on_5_2
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]
    Wire = Callable[..., Exchange]

LINUX = {"title": "Linux", "slug": "linux", "starts_on": "2027-03-01", "ends_on": "2027-04-12"}


def kofi(*, strict: bool = False) -> Client:
    """Return a client in which Kofi is signed in, and which is asked for a token if it is strict."""
    client = Client(enforce_csrf_checks=strict)
    client.force_login(User.objects.get(email="kofi@example.com"))
    return client


def form_of(text: str) -> str:
    """Return the form of a page, without empty lines."""
    match = re.search(r"<form.*</form>", text, re.DOTALL)
    assert match
    return re.sub(r"\n\s*\n", "\n", match[0])


def shown(exchange: Exchange) -> str:
    """Return an exchange with as much of the page as the form, and without what differs from run to run."""
    head, page, body = exchange.text.partition("<!")
    if page:
        head = re.sub(r"(?s)(\n\nHTTP/.*Content-Length: )\d+", r"\1…", head)
        head += form_of(body) if "<form" in body else "…"
    return re.sub(r"messages=[^;]+", "messages=…", head)


@pytest.mark.databases("postgresql")
def test_a_form_checks_and_converts(db: None, session: Session) -> None:
    session("forms_session.pycon", CourseForm=forms.CourseForm)


def test_every_rule_of_the_form(db: None) -> None:
    assert forms.CourseForm(LINUX).is_valid()
    shout = forms.CourseForm({**LINUX, "title": "Linux!"})
    assert shout.errors == {"title": ["A title needs no exclamation mark."]}
    early = forms.CourseForm({**LINUX, "ends_on": "2027-02-28"})
    assert early.errors == {"ends_on": ["The last day is before the first."]}
    dateless = forms.CourseForm({**LINUX, "ends_on": "soon"})
    assert dateless.errors == {"ends_on": ["Enter a valid date."]}


@pytest.mark.databases
def test_each_layer_has_its_rules(academy: None, session: Session, database: str) -> None:
    days = {"starts_on": datetime.date(2027, 3, 1), "ends_on": datetime.date(2027, 2, 1)}
    draft = Course(title="Linux!", slug="linux", **days)
    with pytest.raises(ValidationError) as caught:
        draft.full_clean()
    assert set(caught.value.message_dict) == {"__all__"}  # the model knows nothing of exclamation marks
    if database == "postgresql":
        session("forms_layers.pycon", Course=Course, date=datetime.date)
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        draft.save()


@recorded_on_5_2("constraints are checked in another order")
@pytest.mark.databases("postgresql")
def test_a_check_costs_queries(academy: None, record: Recorder) -> None:
    with queries() as sent:
        assert forms.CourseForm(LINUX).is_valid()
    sent.statements[:] = [statement for statement in sent.statements if statement.startswith("SELECT")]
    assert len(sent.statements) == 3  # and none for the seats: the form has no such field
    record("forms_queries.sql", sent.text)
    form = forms.CourseForm(LINUX)
    assert form.is_valid()
    with queries() as sent:
        form.save()
    assert len(sent.statements) == 1
    Course.objects.filter(slug="linux").delete()
    with queries() as sent:
        Course.objects.bulk_create(
            Course(title=f"Linux {n}", slug=f"linux-{n}", starts_on=LINUX["starts_on"], ends_on=LINUX["ends_on"])
            for n in range(100)
        )
    assert len([statement for statement in sent.statements if "academy_course" in statement]) == 1


def test_an_empty_post_is_a_post() -> None:
    post = QueryDict("")
    assert forms.CourseForm(post).errors["title"] == ["This field is required."]
    assert not forms.CourseForm(post or None).errors  # as if nothing had been sent


def test_a_model_form_names_its_fields() -> None:
    with pytest.raises(ImproperlyConfigured):
        modelform_factory(Course)


@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_post_on_the_wire(academy: None, wire: Wire, record: Recorder) -> None:
    session_id = kofi().cookies["sessionid"].value
    page = wire("GET", "/propose/", {"Cookie": f"sessionid={session_id}"})
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    secret = re.search(r"csrftoken=(\w+)", page.headers("Set-Cookie")[0])
    assert token
    assert secret
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"sessionid={session_id}; csrftoken={secret[1]}",
    }

    values = "title=Linux%21&slug=linux&starts_on=2027-03-01&ends_on=2027-02-01"
    refused = wire("POST", "/propose/", headers, values)
    assert refused.status == 403
    record("forms_403.http", shown(refused))

    again = wire("POST", "/propose/", headers, f"csrfmiddlewaretoken={token[1]}&{values}")
    assert again.status == 200
    assert 'value="Linux!"' in again.body
    assert 'aria-describedby="id_title_error"' in again.body
    assert 'id="id_title_error"' in again.body
    assert 'aria-describedby="id_slug_helptext"' in again.body
    record("forms_200.http", shown(again))
    assert not Course.objects.filter(slug="linux").exists()

    values = values.replace("%21", "").replace("02-01", "04-12")
    done = wire("POST", "/propose/", headers, f"csrfmiddlewaretoken={token[1]}&{values}")
    assert done.status == 302
    record("forms_302.http", shown(done))
    assert Course.objects.get(slug="linux").teacher == User.objects.get(email="kofi@example.com")


def test_the_message_stands_on_the_next_page(academy: None) -> None:
    client = kofi()
    response = client.post("/propose/", LINUX, follow=True)
    assert response.redirect_chain == [("/catalog/", 302)]
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["We will look at Linux."]
    assert "We will look at Linux." in response.text
    assert "We will look at Linux." not in client.get("/catalog/").text


def test_an_error_of_no_field_stands_above_the_fields(academy: None) -> None:
    seat = Enrollment.objects.all()[0]
    form = forms.SeatForm({"learner": seat.learner_id, "course": seat.course_id})
    page = form_of(render_to_string("django_app/form.html", {"form": form}))
    assert "Enrollment with this Learner and Course already exists." in page.partition("<div>")[0]


def test_which_methods_a_form_takes(academy: None) -> None:
    client = kofi()
    for address in ("/propose/", "/enroll/"):
        assert client.get(address).status_code == client.head(address).status_code == 200
        assert client.put(address).headers["Allow"] == "GET, HEAD, POST"


def test_a_learner_enrolls(academy: None) -> None:
    client, learner = kofi(), Learner.objects.get(name="Kofi")
    learner.enrollments.filter(certificate=None).delete()
    course = Course.objects.filter(published=True).exclude(learners=learner)[0]
    response = client.post("/enroll/", {"course": course.slug}, follow=True)
    assert f"You have a seat in {course.title}." in response.text
    assert learner.enrollments.filter(course=course).count() == 1
    again = client.post("/enroll/", {"course": course.slug})
    assert again.context["form"].errors == {"course": ["Not possible: you have joined this course before."]}
    # A form that is not filled in, a draft, and a course that there is not.
    assert client.post("/enroll/").context["form"].errors == {"course": ["This field is required."]}
    for slug in ("queues", "nothing"):
        refused = client.post("/enroll/", {"course": slug}).context["form"]
        assert refused.errors.as_data()["course"][0].code == "invalid_choice"


@recorded_on_5_2("the empty choice has another label")
def test_a_rule_becomes_an_error_of_the_form(db: None, record: Recorder) -> None:
    user = User.objects.create_user("kofi@example.com")
    learner = Learner.objects.create(user=user, name="Kofi", email=user.email)
    days = {"starts_on": datetime.date(2027, 3, 1), "ends_on": datetime.date(2027, 4, 12)}
    course = Course.objects.create(title="Linux", slug="linux", published=True, seats=1, **days)
    Course.objects.create(title="Networks", slug="networks", published=True, **days)
    Enrollment.objects.create(course=course, learner=Learner.objects.create(name="Esi", email="esi@example.com"))
    response = kofi().post("/enroll/", {"course": "linux"})
    assert response.status_code == 200
    assert not learner.enrollments.exists()
    text = re.sub(r'(csrfmiddlewaretoken" value=)"\w+"', r'\1"…"', form_of(response.text))
    record("forms_refused.html", text)
    assert "Not possible: the course is full." in text


@pytest.mark.wrong("lab/django_app/forms.py:wrong_all")
@pytest.mark.databases("postgresql")
def test_all_fields_take_what_no_template_shows(academy: None, session: Session) -> None:
    Enrollment.objects.filter(certificate=None).delete()
    session(
        "forms_wrong_all.pycon",
        WrongEnrollmentForm=forms.WrongEnrollmentForm,
        OwnEnrollmentForm=forms.OwnEnrollmentForm,
        Enrollment=Enrollment,
        ama=Learner.objects.get(name="Ama"),
    )


@pytest.mark.databases("postgresql")
def test_two_forms_are_valid_and_one_row_fits(academy: None, session: Session) -> None:
    Enrollment.objects.filter(certificate=None).delete()
    session(
        "forms_race.pycon",
        SeatForm=forms.SeatForm,
        OwnEnrollmentForm=forms.OwnEnrollmentForm,
        Enrollment=Enrollment,
        transaction=transaction,
        ama=Learner.objects.get(name="Ama"),
    )


@pytest.mark.databases
def test_the_constraint_holds_on_every_database(academy: None) -> None:
    Enrollment.objects.filter(certificate=None).delete()
    learner, course = Learner.objects.get(name="Ama"), Course.objects.get(slug="django")
    Enrollment.objects.filter(learner=learner, course=course).delete()
    values = {"learner": learner.pk, "course": course.pk}
    first, second = forms.SeatForm(values), forms.SeatForm(values)
    assert first.is_valid()
    assert second.is_valid()
    first.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        second.save()
    # A form without the field of the learner leaves the rule to the database.
    own = forms.OwnEnrollmentForm({"course": course.pk}, instance=Enrollment(learner=learner))
    assert own.is_valid()
    with pytest.raises(IntegrityError), transaction.atomic():
        own.save()
