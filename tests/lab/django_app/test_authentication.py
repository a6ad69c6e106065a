"""Signing in, signing out and a forgotten password, as a browser and as an attacker meets them."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as configured
from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    BasePasswordHasher,
    PBKDF2PasswordHasher,
    identify_hasher,
)
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LogoutView
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.signing import b64_decode
from django.db import IntegrityError, transaction
from django.template.loader import get_template
from django.test import Client
from django.urls import resolve, reverse

from lab.academy.models import User
from lab.django_app import authentication
from tests.lab.marks import recorded_on_5_2
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings
    from time_machine import TimeMachineFixture

    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

RIVERS = "seven quiet rivers"
PALMS = "four tall palms"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def ama(academy: None) -> User:
    user = User.objects.get(email="ama@example.com")
    user.set_password(RIVERS)
    user.save()
    return user


def sign_in(client: Client, email: str = "ama@example.com", password: str = RIVERS, **fields: str) -> Any:
    return client.post(reverse("login"), {"username": email, "password": password, **fields})


def stable(page: bytes) -> str:
    """Return a page without what is random in it."""
    return re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", page.decode())


def timeless(exchange: Exchange) -> str:
    """Return an exchange without the moment that never_cache writes into it."""
    return re.sub(r"(?m)^(Expires: ).*", r"\1…", exchange.text)


# The user model


@pytest.mark.databases
def test_people_sign_in_with_an_address_in_any_case(ama: User, client: Client) -> None:
    assert "username" not in {field.name for field in User._meta.get_fields()}
    assert sign_in(client, " Ama@Example.com ")["Location"] == reverse("my_courses")
    assert client.get(reverse("my_courses")).status_code == 200
    with pytest.raises(ValueError, match="email"):
        User.objects.create_user("")
    root = User.objects.create_superuser("Root@Example.com")
    assert (root.email, root.is_superuser, root.has_usable_password()) == ("root@example.com", True, False)


@pytest.mark.databases
def test_without_the_form_the_case_decides_except_where_the_database_ignores_it(ama: User, database: str) -> None:
    found = authenticate(username="Ama@example.com", password=RIVERS)
    assert (found is not None) == (database == "mariadb")


@pytest.mark.databases
def test_no_two_accounts_have_one_address_in_two_cases(ama: User, database: str) -> None:
    """MariaDB's collation finds the two equal, so that there the unique index refuses the second."""
    rule = "user_email_in_lower_case" if database != "mariadb" else "Duplicate entry"
    with pytest.raises(IntegrityError, match=rule), transaction.atomic():
        User.objects.create(email="Ama@Example.com")


@pytest.mark.databases("postgresql")
def test_the_admins_form_refuses_capitals_and_its_login_wants_the_address_as_stored(
    academy: None, client: Client
) -> None:
    root = User.objects.create_superuser("Root@Example.com", PALMS)
    typed = {"username": "Root@Example.com", "password": PALMS}
    assert client.post("/admin/login/", typed).status_code == 200
    assert client.post("/admin/login/", {**typed, "username": root.email}).status_code == 302
    new = {"email": "Akua@Example.com", "usable_password": "true", "password1": RIVERS, "password2": RIVERS}
    refused = client.post("/admin/academy/user/add/", new)
    assert "user_email_in_lower_case" in refused.content.decode()
    assert client.post("/admin/academy/user/add/", {**new, "email": "akua@example.com"}).status_code == 302


@pytest.mark.wrong("lab/django_app/authentication.py:wrong_user")
@pytest.mark.databases("postgresql")
def test_djangos_own_user_is_not_there(db: None, session: Callable[..., None]) -> None:
    with pytest.raises(AttributeError, match=r"swapped for 'academy\.User'"):
        authentication.wrong_invite("esi@example.com")
    session("authentication_wrong_user.pycon", wrong_invite=authentication.wrong_invite)


@pytest.mark.slow
def test_a_user_model_that_comes_late_stops_migrate(shell: Callable[..., None], record: Recorder) -> None:
    shell("authentication_late_user_model.console")
    assert "InconsistentMigrationHistory" in record.path("authentication_late_user_model.console").read_text(
        encoding="utf-8"
    )


# Sessions


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_signing_in_on_the_wire(ama: User, settings: Settings, wire: Callable[..., Exchange], record: Recorder) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    form = wire("GET", "/login/")
    token = re.search(r"csrftoken=(\w+)", form.headers("Set-Cookie")[0])
    assert token
    sent = {"csrfmiddlewaretoken": token[1], "username": "ama@example.com", "password": RIVERS}
    headers = {"Cookie": f"csrftoken={token[1]}", **FORM}
    answer = wire("POST", "/login/", headers, urlencode(sent))
    assert answer.status == 302
    (cookie,) = (value.strip() for value in answer.headers("Set-Cookie") if "sessionid=" in value)
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=1209600"} <= set(cookie.split("; "))
    record("authentication_sign_in.http", timeless(answer))
    key = cookie.partition("=")[2].partition(";")[0]
    mine = {"Cookie": f"sessionid={key}"}
    assert wire("GET", "/my-courses/", mine).status == 200
    refused = wire("GET", "/logout/", mine)
    assert refused.status == 405
    assert refused.headers("Allow") == ["POST, OPTIONS"]
    record("authentication_sign_out_by_get.http", timeless(refused))
    assert wire("GET", "/my-courses/", mine).status == 200
    # Without the token the POST is refused: no other site can sign anybody in or out.
    assert wire("POST", "/login/", FORM, urlencode({**sent, "csrfmiddlewaretoken": ""})).status == 403


@pytest.mark.databases("postgresql")
def test_the_cookie_holds_a_key_and_the_table_the_rest(ama: User, client: Client, session: Callable[..., None]) -> None:
    sign_in(client)
    session("authentication_session.pycon", client=client, Session=Session)
    row = Session.objects.get()
    assert row.get_decoded()["_auth_user_id"] == str(ama.pk)
    data = row.session_data.partition(":")[0]
    readable = zlib.decompress(b64_decode(data[1:].encode())) if data[0] == "." else b64_decode(data.encode())
    assert b"_auth_user_id" in readable, "signed, not encrypted"


# --8<-- [start:fixation]
@pytest.mark.databases
def test_the_session_key_changes_at_sign_in(
    ama: User,
    client: Client,
) -> None:
    planted = plant(client)
    sign_in(client)
    assert client.cookies["sessionid"].value != planted
    assert not reads_my_courses(planted)
    assert reads_my_courses(client.cookies["sessionid"].value)


# --8<-- [end:fixation]


@pytest.mark.django_db
def test_the_fixation_test_sees_a_key_that_stays(ama: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionBase, "cycle_key", lambda _: None)
    planted = plant(client)
    sign_in(client)
    assert reads_my_courses(planted)


def plant(victim: Client) -> str:
    """Put the attacker's session key into the victim's browser; return the key."""
    attacker = Client()
    session = attacker.session
    session["theme"] = "dark"
    session.save()
    key = str(session.session_key)
    victim.cookies[configured.SESSION_COOKIE_NAME] = key
    return key


def reads_my_courses(key: str) -> bool:
    """Return whether whoever has this key is signed in."""
    browser = Client()
    browser.cookies[configured.SESSION_COOKIE_NAME] = key
    return browser.get("/my-courses/").status_code == 200


@pytest.mark.databases
def test_a_new_password_ends_the_other_sessions(ama: User, rf: Any) -> None:
    here, elsewhere = Client(), Client()
    sign_in(here)
    sign_in(elsewhere)
    ama.set_password(PALMS)
    ama.save()
    request = rf.get("/")
    request.session, request.user = here.session, ama
    update_session_auth_hash(request, ama)
    request.session.save()
    assert reads_my_courses(request.session.session_key)
    assert elsewhere.get(reverse("my_courses")).status_code == 302


@pytest.mark.databases
def test_a_session_costs_two_queries(ama: User, client: Client) -> None:
    sign_in(client)
    with queries() as sent:
        client.get(reverse("my_courses"))
    first, second = sent.statements[:2]
    assert "django_session" in first
    assert "academy_user" in second


@pytest.mark.databases
def test_an_ended_row_signs_out(ama: User, client: Client) -> None:
    sign_in(client)
    Session.objects.all().delete()
    assert client.get(reverse("my_courses"))["Location"] == "/login/?next=/my-courses/"


# Signing in and out


@pytest.mark.databases
def test_next_leads_only_to_this_site(ama: User) -> None:
    for wanted, got in (
        ("/courses/python/", "/courses/python/"),
        ("https://evil.example/", "/my-courses/"),
        ("//evil.example/", "/my-courses/"),
        ("https:evil.example", "/my-courses/"),
        ("javascript:alert(1)", "/my-courses/"),
        (r"/\evil.example", "/my-courses/"),
        ("", "/my-courses/"),
    ):
        assert sign_in(Client(), next=wanted)["Location"] == got
        page = Client().get("/login/", {"next": wanted}).content.decode()
        assert "evil" not in page
        assert "alert" not in page


@pytest.mark.databases("postgresql")
def test_next_as_recorded(ama: User, session: Callable[..., None]) -> None:
    session("authentication_next.pycon", Client=Client, login={"username": ama.email, "password": RIVERS})


@pytest.mark.databases
def test_signing_out_needs_a_post_and_no_session(ama: User, client: Client) -> None:
    sign_in(client)
    assert client.get(reverse("logout")).status_code == 405
    assert client.get(reverse("my_courses")).status_code == 200
    assert client.post(reverse("logout"))["Location"] == reverse("course_list")
    assert client.get(reverse("my_courses")).status_code == 302
    assert not Session.objects.exists(), "the row is gone, not only the cookie"
    assert client.post(reverse("logout"))["Location"] == reverse("course_list")


@pytest.mark.django_db
def test_djangos_own_view_asks_signed_out_people_to_sign_in_and_then_fails(
    ama: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(LogoutView.as_view(), "login_required", True)
    monkeypatch.setattr(resolve("/logout/").func, "login_required", True)
    assert client.post("/logout/")["Location"] == "/login/?next=/logout/"
    assert client.get(sign_in(client, next="/logout/")["Location"]).status_code == 405


@pytest.mark.databases
def test_pages_have_forms_with_labels_and_a_way_out(ama: User, client: Client) -> None:
    page = client.get(reverse("login")).content.decode()
    for field in ("username", "password"):
        assert f'<label for="id_{field}">' in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert reverse("password_reset") in page
    sign_in(client)
    page = client.get(reverse("my_courses")).content.decode()
    assert f'<form method="post" action="{reverse("logout")}">' in page


# Hashes


@recorded_on_5_2("the number of iterations grows")
@pytest.mark.databases("postgresql")
def test_what_is_stored(real_hashers: None, db: None, session: Callable[..., None]) -> None:
    session("authentication_hash.pycon")
    assert PBKDF2PasswordHasher.iterations >= 1_000_000


ARGON2_FIRST = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("Argon2", "PBKDF2")]


@pytest.mark.databases
def test_the_hash_is_made_anew_at_sign_in(ama: User, client: Client, settings: Settings) -> None:
    assert identify_hasher(ama.password).algorithm == "pbkdf2_sha256"
    settings.PASSWORD_HASHERS = ARGON2_FIRST
    sign_in(client, password=PALMS)
    ama.refresh_from_db()
    assert identify_hasher(ama.password).algorithm == "pbkdf2_sha256"
    sign_in(client)
    ama.refresh_from_db()
    assert identify_hasher(ama.password).algorithm == "argon2"
    assert reads_my_courses(client.cookies["sessionid"].value)


@recorded_on_5_2("the number of iterations grows")
@pytest.mark.databases("postgresql")
def test_the_upgrade_as_recorded(real_hashers: None, ama: User, client: Client, session: Callable[..., None]) -> None:
    session("authentication_upgrade.pycon", ama=ama, client=client, login={"username": ama.email, "password": RIVERS})


@pytest.mark.wrong("lab/django_app/authentication.py:wrong_password")
@pytest.mark.databases
def test_create_stores_the_password_as_it_was_typed(db: None, client: Client) -> None:
    esi = authentication.wrong_sign_up("esi@example.com", PALMS)
    esi.refresh_from_db()
    assert esi.password == PALMS
    assert sign_in(client, esi.email, PALMS).status_code == 200, "the form again: nobody can sign in"
    kofi = authentication.sign_up("kofi@example.com", PALMS)
    kofi.refresh_from_db()
    assert PALMS not in kofi.password
    assert sign_in(client, kofi.email, PALMS).status_code == 302
    with pytest.raises(ValidationError, match="too common"):
        authentication.sign_up("abena@example.com", "password123")
    with pytest.raises(ValidationError, match="too similar to the email"):
        authentication.sign_up("abenamensah@example.com", "abenamensah")
    assert not User.objects.filter(email__startswith="abena").exists()


@pytest.mark.databases("postgresql")
def test_the_stored_password_as_recorded(db: None, session: Callable[..., None]) -> None:
    session(
        "authentication_wrong_password.pycon",
        wrong_sign_up=authentication.wrong_sign_up,
        sign_up=authentication.sign_up,
        authenticate=authenticate,
    )


# A forgotten password


@pytest.mark.databases("postgresql")
def test_the_reset_as_recorded(ama: User, session: Callable[..., None], record: Recorder) -> None:
    session("authentication_reset.pycon", Client=Client, mail=mail)
    token = re.compile(r"/[A-Za-z0-9_-]+/[a-z0-9]+-[0-9a-f]{32}/")
    text = str(mail.outbox[0].body)
    assert token.search(text)
    record(
        "authentication_reset_mail.txt", f"Subject: {mail.outbox[0].subject}\n\n" + token.sub("/<user>/<token>/", text)
    )


@pytest.mark.databases
def test_a_reset_link_works_once(ama: User, client: Client) -> None:
    before = Client()
    sign_in(before)
    client.post(reverse("password_reset"), {"email": "AMA@example.com"})
    (message,) = mail.outbox
    assert message.to == [ama.email]
    link = re.search(r"http://testserver(/\S+)", str(message.body))
    assert link
    form = client.get(link[1])["Location"]
    assert form.endswith("/set-password/"), "the token leaves the address bar"
    refused = client.post(form, {"new_password1": "1234", "new_password2": "1234"})
    assert "too short" in refused.content.decode()
    assert authenticate(username=ama.email, password=RIVERS) == ama, "the old password works until a good one comes"
    done = client.post(form, {"new_password1": PALMS, "new_password2": PALMS})
    assert done["Location"] == reverse("password_reset_complete")
    assert reverse("login") in client.get(done["Location"]).content.decode()
    assert before.get(reverse("my_courses")).status_code == 302, "the sessions of the old password end"
    assert sign_in(Client()).status_code == 200
    assert sign_in(Client(), password=PALMS).status_code == 302
    again = Client().get(link[1])
    assert again.status_code == 200
    assert "has been used" in again.content.decode()


@pytest.mark.databases
def test_a_reset_link_ends_with_a_sign_in_a_new_address_or_time(
    ama: User, client: Client, time_machine: TimeMachineFixture
) -> None:
    def link() -> str:
        mail.outbox.clear()
        client.post(reverse("password_reset"), {"email": ama.email})
        found = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
        assert found
        return found[1]

    def works(path: str) -> bool:
        return Client().get(path).status_code == 302

    time_machine.move_to("2026-02-01T12:00Z", tick=False)
    first = link()
    assert works(first)
    assert works(first), "opening it uses nothing up"
    time_machine.move_to("2026-02-04T11:59Z", tick=False)
    assert works(first)
    time_machine.move_to("2026-02-04T12:01Z", tick=False)
    assert not works(first)
    second = link()
    assert works(second)
    sign_in(Client())
    assert not works(second)
    third = link()
    User.objects.filter(pk=ama.pk).update(email="ama@example.org")
    assert not works(third)


@pytest.mark.databases
def test_an_unknown_address_gets_the_same_answer(ama: User, client: Client) -> None:
    answers = [client.post(reverse("password_reset"), {"email": f"{name}@example.com"}) for name in ("ama", "nobody")]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert answers[0].content == answers[1].content
    assert len(mail.outbox) == 1
    assert "If this address has an account" in client.get(answers[0]["Location"]).content.decode()
    # The people of the seed have no usable password, so they get no mail either.
    client.post(reverse("password_reset"), {"email": "kofi@example.com"})
    User.objects.filter(pk=ama.pk).update(is_active=False)
    client.post(reverse("password_reset"), {"email": "ama@example.com"})
    assert len(mail.outbox) == 1


@pytest.mark.django_db
def test_the_link_names_the_host_of_the_request(ama: User, client: Client, settings: Settings) -> None:
    def ask() -> int:
        evil = {"host": "evil.example"}
        return client.post(reverse("password_reset"), {"email": ama.email}, headers=evil).status_code

    assert ask() == 400
    assert mail.outbox == []
    settings.ALLOWED_HOSTS = ["*"]
    assert ask() == 302
    assert "http://evil.example/password-reset/" in mail.outbox[0].body


def test_the_admins_templates_come_before_ours() -> None:
    shadowed: Any = get_template("registration/password_reset_form.html")
    assert "django/contrib/admin/" in shadowed.origin.name
    page = Client().get(reverse("password_reset")).content.decode()
    assert "Django administration" not in page
    assert "Send me a link" in page


# Guessing


@pytest.mark.databases
def test_the_form_does_not_say_which_addresses_exist(ama: User, client: Client) -> None:
    pages = [sign_in(client, email, PALMS).content for email in ("ama@example.com", "not@example.com")]
    assert stable(pages[0]).replace("ama@", "not@") == stable(pages[1])


@pytest.mark.django_db
def test_an_unknown_address_costs_a_hash_too(ama: User, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def encode(self: PBKDF2PasswordHasher, password: str, salt: str, iterations: int | None = None) -> str:
        made.append(password)
        return f"pbkdf2_sha256$1${salt}$x"

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    monkeypatch.setattr(PBKDF2PasswordHasher, "harden_runtime", lambda *_: None)
    sign_in(client, "ama@example.com", PALMS)
    assert made == [PALMS]
    sign_in(client, "not@example.com", PALMS)
    assert made == [PALMS, PALMS]


@pytest.mark.django_db
def test_after_a_switch_of_hashers_the_time_tells_old_accounts_from_unknown_addresses(
    ama: User, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PASSWORD_HASHERS = ARGON2_FIRST
    made: list[str | None] = []

    def noted(hasher: type[BasePasswordHasher]) -> None:
        real = hasher.encode

        def encode(self: BasePasswordHasher, *given: Any) -> str:
            made.append(self.algorithm)
            return real(self, *given)

        monkeypatch.setattr(hasher, "encode", encode)

    noted(PBKDF2PasswordHasher)
    noted(Argon2PasswordHasher)
    sign_in(client, "ama@example.com", PALMS)
    assert made == ["pbkdf2_sha256"]
    made.clear()
    sign_in(client, "not@example.com", PALMS)
    assert made == ["argon2"]


@pytest.mark.wrong("lab/django_app/authentication.py:wrong_login")
@pytest.mark.databases
def test_two_messages_are_a_list_of_members(ama: User) -> None:
    assert authentication.wrong_login("not@example.com", PALMS) == "There is no such account."
    assert authentication.wrong_login("ama@example.com", PALMS) == "The password is wrong."
    assert authentication.wrong_login("ama@example.com", RIVERS) == "Welcome."


@pytest.mark.databases("postgresql")
def test_guessing_as_recorded(ama: User, client: Client, session: Callable[..., None]) -> None:
    session("authentication_guessing.pycon", client=client, login={"username": ama.email, "password": RIVERS})


@pytest.mark.django_db
def test_whoever_counts_failures_gets_a_signal(ama: User, client: Client) -> None:
    seen: list[dict[str, Any]] = []

    def note(credentials: dict[str, Any], **_: Any) -> None:
        seen.append(credentials)

    user_login_failed.connect(note)
    try:
        sign_in(client, password=PALMS)
    finally:
        user_login_failed.disconnect(note)
    assert seen == [{"username": "ama@example.com", "password": "*" * 20}]
