"""JSON Web Tokens: what they hold, how long they work, and every forgery that must not."""

from __future__ import annotations

import base64
import datetime
import json
import re
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIClient
from rest_framework_simplejwt import tokens as simplejwt
from rest_framework_simplejwt.authentication import (
    JWTAuthentication,
    JWTStatelessUserAuthentication,
)
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.views import TokenRefreshView

from lab import settings as lab_settings
from lab.academy.models import User
from lab.rest_apis import tokens
from tests.lab.marks import recorded_on_5_2
from tests.lab.people import PASSWORD, bearer
from tests.recording.sql import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings
    from time_machine import TimeMachineFixture

    from tests.lab.people import People
    from tests.recording.exchange import Exchange
    from tests.recording.files import Recorder

    Session = Callable[..., None]

JSON = {"Content-Type": "application/json"}
NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
MINE = "/api/v1/enrollments/"
TOKEN, REFRESH, REVOKE = "/api/v1/token/", "/api/v1/token/refresh/", "/api/v1/token/revoke/"


def sign_in(email: str = "ama@example.com", password: str = PASSWORD) -> dict[str, str]:
    """Return a pair of tokens."""
    answer = APIClient().post(TOKEN, {"email": email, "password": password})
    assert answer.status_code == 200, answer.content
    pair: dict[str, str] = answer.json()
    return pair


def status(access: str) -> int:
    """Return the answer to a request with this access token."""
    return int(APIClient().get(MINE, headers={"Authorization": f"Bearer {access}"}).status_code)


def refresh(token: str) -> Any:
    """Ask for a new pair."""
    return APIClient().post(REFRESH, {"refresh": token})


def hidden(text: str) -> str:
    """Return a text without the tokens in it."""
    return re.sub(r"[\w-]{20,}\.[\w-]+\.[\w-]+", "…", text)


# What a token is


@pytest.mark.databases("postgresql")
def test_anybody_can_read_a_token(
    people: People,
    session: Session,
    time_machine: TimeMachineFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time_machine.move_to(NOON, tick=False)
    monkeypatch.setattr(simplejwt, "uuid4", lambda: types.SimpleNamespace(hex="55" * 16))
    people.ama.password = make_password(PASSWORD, salt="salt")
    people.ama.save()
    token = str(AccessToken.for_user(people.ama))
    assert tokens.decode(token)[0] == {"alg": "HS256", "typ": "JWT"}
    session("tokens_decode.pycon", token=token, decode=tokens.decode)


# Obtain, refresh, revoke


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_life_of_a_pair_on_the_wire(people: People, wire: Callable[..., Exchange], record: Recorder) -> None:
    asked = '{"email": "Ama@Example.com", "password": "a long enough secret"}'
    obtained = wire("POST", TOKEN, JSON, asked)
    record("tokens_obtain.http", hidden(obtained.text).replace(PASSWORD, "…"))
    pair = json.loads(obtained.body)
    used = wire("GET", MINE + "?page_size=1", {"Authorization": f"Bearer {pair['access']}"})
    assert used.status == 200
    first = json.dumps({"refresh": pair["refresh"]})
    refreshed = wire("POST", REFRESH, JSON, first)
    record("tokens_refresh.http", hidden(refreshed.text))
    second = json.dumps({"refresh": json.loads(refreshed.body)["refresh"]})
    again = wire("POST", REFRESH, JSON, first)
    assert again.status == 401
    record("tokens_reused.http", hidden(again.text))
    revoked = wire("POST", REVOKE, JSON, second)
    assert revoked.status == 200
    assert wire("POST", REFRESH, JSON, second).status == 401


@pytest.mark.databases
def test_a_refresh_token_works_once_and_a_thief_is_not_noticed(people: People) -> None:
    stolen = sign_in()["refresh"]
    first = refresh(stolen).json()
    assert refresh(stolen).status_code == 401
    # RFC 9700 would end the whole chain here, because one of the two is a thief. simplejwt does not.
    assert refresh(first["refresh"]).status_code == 200


def refused_at_once(token: str, patch: pytest.MonkeyPatch, serializer: type[TokenRefreshSerializer]) -> list[bool]:
    """Refresh with one token twice at once; return which of the two was refused, in order.

    Each waits before it blacklists the token until the other is there, or gives up when a lock keeps it away.
    """
    both, blacklist = threading.Barrier(2), RefreshToken.blacklist

    def slow(self: RefreshToken) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(1)
        return blacklist(self)

    def refused(_: int) -> bool:
        try:
            return not serializer(data={"refresh": token}).is_valid()
        except TokenError as error:
            return str(error) == "Token is blacklisted"
        finally:
            connection.close()

    patch.setattr(RefreshToken, "blacklist", slow)
    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(refused, range(2)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases("postgresql", "mariadb")
def test_a_refresh_token_works_once_even_for_two_at_once(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    for serializer, expected in ((TokenRefreshSerializer, [False, False]), (tokens.RefreshSerializer, [False, True])):
        token = str(RefreshToken.for_user(people.ama))
        with monkeypatch.context() as patched:
            assert refused_at_once(token, patched, serializer) == expected, serializer
    assert TokenRefreshView().get_serializer_class() is tokens.RefreshSerializer


def test_a_chain_that_is_used_daily_has_no_end(people: People, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON)
    token = sign_in()["refresh"]
    for day in range(1, 11):
        time_machine.move_to(NOON + datetime.timedelta(hours=23 * day))
        token = refresh(token).json()["refresh"]
    time_machine.move_to(NOON + datetime.timedelta(hours=23 * 10 + 25))
    assert refresh(token).status_code == 401


@pytest.mark.databases
def test_the_database_keeps_live_refresh_tokens_as_they_are(people: People, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON)
    pair = sign_in()
    row = OutstandingToken.objects.get(user=people.ama)
    assert row.token == pair["refresh"]
    assert refresh(row.token).status_code == 200
    # Every refresh adds a row; nothing removes it but the command.
    assert OutstandingToken.objects.count() == 2
    assert BlacklistedToken.objects.count() == 1
    call_command("flushexpiredtokens")
    assert OutstandingToken.objects.count() == 2
    time_machine.move_to(NOON + datetime.timedelta(days=1, minutes=1))
    call_command("flushexpiredtokens")
    assert (OutstandingToken.objects.count(), BlacklistedToken.objects.count()) == (0, 0)


@pytest.mark.databases
def test_the_address_is_taken_in_any_case(people: People, database: str) -> None:
    for typed in ("ama@example.com", "Ama@Example.com", " AMA@EXAMPLE.COM "):
        assert status(sign_in(typed)["access"]) == 200
    plain = TokenObtainPairSerializer(data={"email": "Ama@Example.com", "password": PASSWORD})
    if database == "mariadb":  # its collation finds the two equal
        assert plain.is_valid()
    else:
        with pytest.raises(AuthenticationFailed, match="No active account"):
            plain.is_valid()


@pytest.mark.databases
def test_a_password_is_taken_with_the_spaces_at_its_ends(people: People) -> None:
    spaced = " four tall palms "
    people.ama.set_password(spaced)
    people.ama.save()
    assert APIClient().login(email="ama@example.com", password=spaced)
    assert status(sign_in(password=spaced)["access"]) == 200
    assert APIClient().post(TOKEN, {"email": "ama@example.com", "password": spaced.strip()}).status_code == 401
    with pytest.raises(AuthenticationFailed):  # simplejwt cuts them off
        TokenObtainPairSerializer(data={"email": "ama@example.com", "password": spaced}).is_valid()


def test_what_is_missing_is_named(db: None) -> None:
    for body in ({}, {"email": "", "password": ""}, {"email": ["x"], "password": {}}):
        answer = APIClient().post(TOKEN, body)
        assert answer.status_code == 400
        assert {entry["pointer"] for entry in answer.json()["errors"]} == {"#/email", "#/password"}


# What can be revoked, and when


@pytest.mark.databases
def test_a_revoked_pair_works_until_the_access_token_expires(people: People, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON)
    pair = sign_in()
    assert APIClient().post(REVOKE, {"refresh": pair["refresh"]}).status_code == 200
    assert refresh(pair["refresh"]).status_code == 401
    assert status(pair["access"]) == 200
    time_machine.move_to(NOON + datetime.timedelta(minutes=4, seconds=55))
    assert status(pair["access"]) == 200
    time_machine.move_to(NOON + datetime.timedelta(minutes=5, seconds=5))
    assert status(pair["access"]) == 401


@pytest.mark.databases("postgresql")
def test_the_recorded_revocation(people: People, session: Session, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON, tick=False)
    pair = sign_in()
    session(
        "tokens_revoked.pycon",
        client=APIClient(),
        pair=pair,
        status=lambda: status(pair["access"]),
        later=lambda **how: time_machine.shift(datetime.timedelta(**how)),
    )


@pytest.mark.databases
@pytest.mark.parametrize("what", ["deactivated", "deleted", "new password"])
def test_the_account_decides_at_once(people: People, what: str) -> None:
    pair = sign_in()
    assert status(pair["access"]) == 200
    if what == "deactivated":
        User.objects.filter(pk=people.ama.pk).update(is_active=False)
    elif what == "deleted":
        people.ama.delete()
    else:
        people.ama.set_password("four tall palms")
        people.ama.save()
    assert status(pair["access"]) == 401
    refused = refresh(pair["refresh"])
    assert refused.status_code == 401
    assert refused["Content-Type"] == "application/problem+json"


def test_a_stronger_hash_ends_the_tokens_of_other_devices(people: People, settings: Settings) -> None:
    """Signing in hashes the password anew, and the claim was made from the former hash."""
    phone = sign_in()["access"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    laptop = sign_in()["access"]
    assert (status(phone), status(laptop)) == (401, 200)


@pytest.mark.databases
def test_without_our_settings_tokens_outlive_the_password(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_settings, "CHECK_REVOKE_TOKEN", False)
    pair = sign_in()
    people.ama.set_password("four tall palms")
    people.ama.save()
    assert status(pair["access"]) == 200
    assert refresh(pair["refresh"]).status_code == 200


@pytest.mark.databases
def test_what_simplejwt_itself_does_with_the_refresh_token_of_a_changed_account(people: People) -> None:
    token = str(RefreshToken.for_user(people.ama))
    people.ama.set_password("four tall palms")
    people.ama.save()
    plain = TokenRefreshSerializer(data={"refresh": token})
    assert plain.is_valid(), "a new pair for the old password"
    assert status(plain.validated_data["access"]) == 401, "which no view takes"
    gone = str(RefreshToken.for_user(people.kofi))
    people.kofi.delete()
    with pytest.raises(User.DoesNotExist):  # answered with 500
        TokenRefreshSerializer(data={"refresh": gone}).is_valid()


def test_override_settings_does_not_reach_simplejwt(db: None) -> None:
    with override_settings(SIMPLE_JWT={"CHECK_REVOKE_TOKEN": False}):
        assert vars(simplejwt)["api_settings"].CHECK_REVOKE_TOKEN is True


# Forgeries


def changed(token: str, **claims: Any) -> str:
    """Return a token with other claims and the signature that it had."""
    header, _, signature = token.split(".")
    payload = {**tokens.decode(token)[1], **claims}
    return ".".join([header, part(payload), signature])


def part(what: dict[str, Any]) -> str:
    """Return one part of a token."""
    return base64.urlsafe_b64encode(json.dumps(what).encode()).decode().rstrip("=")


# --8<-- [start:forged]
KEY = lab_settings.SECRET_KEY
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def forgeries(good: AccessToken, ama: User, kofi: User) -> dict[str, str]:
    """Return what somebody may try; most of it knows even the key."""
    return {
        "no signature": str(good).rpartition(".")[0] + ".",
        "alg: none": jwt.encode(good.payload, None, "none"),
        "another key": jwt.encode(good.payload, "guess" * 10),
        "another algorithm": jwt.encode(good.payload, KEY, "HS384"),
        "Kofi in the payload": changed(str(good), user_id=str(kofi.pk)),
        "expired": jwt.encode({**good.payload, "exp": LONG_AGO}, KEY),
        "no expiry": jwt.encode(without(good, "exp"), KEY),
        "no user": jwt.encode(without(good, "user_id"), KEY),
        "no type": jwt.encode(without(good, "token_type"), KEY),
        "a refresh token": str(RefreshToken.for_user(ama)),
        "of nobody": jwt.encode({**good.payload, "user_id": "0"}, KEY),
        "not a token": "not-a-token",
    }


@pytest.mark.databases
def test_every_forged_token_is_refused(people: People) -> None:
    good = AccessToken.for_user(people.ama)
    assert status(jwt.encode(good.payload, KEY)) == 200, "the key is the right one"
    for name, forged in forgeries(good, people.ama, people.kofi).items():
        answer = ask(forged)
        assert answer.status_code == 401, name
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
        assert answer["Content-Type"] == "application/problem+json"
        assert set(answer.json()) == {"type", "title", "status", "detail"}
        assert answer.json()["detail"] in SAYS, name


# --8<-- [end:forged]


SAYS = {
    "Given token not valid for any token type",
    "Token contained no recognizable user identification",
    "User not found",
}


def without(token: AccessToken, claim: str) -> dict[str, Any]:
    return {name: value for name, value in token.payload.items() if name != claim}


def ask(access: str) -> Any:
    return APIClient().get(MINE, headers={"Authorization": f"Bearer {access}"})


@pytest.mark.parametrize("name", ["RS256", "HS384", "ES256", "None", "nOnE"])
def test_the_header_does_not_choose_the_algorithm(people: People, name: str) -> None:
    payload = tokens.decode(str(AccessToken.for_user(people.ama)))[1]
    for signature in ("", "AAAA"):
        forged = ".".join([part({"alg": name, "typ": "JWT"}), part(payload), signature])
        assert ask(forged).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer a b", "Bearer \x00", "Bearer " + "a." * 5000, "Bearer ..", "bearer x"]
)
def test_a_malformed_header_is_no_error_of_the_server(db: None, header: str) -> None:
    answer = APIClient().get(MINE, headers={"Authorization": header})
    assert answer.status_code == 401
    assert set(answer.json()) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize("token", ["", "x", "a.b.c", None, 1, ["x"]])
def test_a_malformed_refresh_token_is_no_error_of_the_server(db: None, token: Any) -> None:
    for path in (REFRESH, REVOKE):
        answer = APIClient().post(path, {"refresh": token})
        assert answer.status_code in {400, 401}
        assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.databases
def test_an_access_token_does_not_refresh_and_does_not_revoke(people: People) -> None:
    access = sign_in()["access"]
    for path in (REFRESH, REVOKE):
        assert APIClient().post(path, {"refresh": access}).status_code == 401


@pytest.mark.wrong("lab/rest_apis/tokens.py:wrong_decode")
def test_a_token_that_is_only_decoded_says_what_its_sender_likes(people: People) -> None:
    forged = part({"alg": "none"}) + "." + part({"user_id": str(people.kofi.pk)}) + "."
    assert tokens.wrong_user_id(f"Bearer {forged}") == str(people.kofi.pk)
    assert ask(forged).status_code == 401


# Keys


def test_a_former_key_opens_nothing_although_sessions_go_on(people: People, settings: Settings, client: Any) -> None:
    token = str(AccessToken.for_user(people.ama))
    client.force_login(people.ama)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [KEY], "another key of fifty characters, " * 2
    # In a new process simplejwt reads the new key.
    backend = simplejwt.AccessToken.get_token_backend(AccessToken())
    fresh = type(backend)("HS256", settings.SECRET_KEY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplejwt.Token, "_token_backend", fresh)
        assert status(token) == 401
        assert status(str(AccessToken.for_user(people.ama))) == 200
    assert client.get("/my-courses/").status_code == 200
    assert client.get(MINE).status_code == 200


def test_a_short_key_is_warned_of() -> None:
    with pytest.warns(jwt.InsecureKeyLengthWarning, match="32 bytes"):
        jwt.encode({}, "short")
    assert len(KEY) >= 32


# The price


@pytest.mark.databases
def test_how_many_queries_know_who_is_asking(people: People, settings: Settings, client: Any, rf: Any) -> None:
    client.force_login(people.ama)
    with queries() as by_session:
        client.get(MINE)
    headers = bearer(people.ama)
    with queries() as by_token:
        APIClient().get(MINE, headers=headers)
    assert len(by_session.statements) - len(by_token.statements) == 1
    request = rf.get("/", headers=headers)
    with queries() as sent:
        JWTAuthentication().authenticate(request)
    assert len(sent.statements) == 1
    with queries() as sent:
        JWTStatelessUserAuthentication().authenticate(request)
    assert len(sent.statements) == 0
    # And so it knows nothing of what happened since.
    User.objects.filter(pk=people.ama.pk).update(is_active=False)
    found = JWTStatelessUserAuthentication().authenticate(request)
    assert found is not None
    assert found[0].is_authenticated


# A cookie for the refresh token


@recorded_on_5_2("the middleware that closes views sets Vary elsewhere")
@pytest.mark.urls("lab.rest_apis.tokens")
@pytest.mark.databases("postgresql")
@pytest.mark.django_db(transaction=True)
def test_the_cookie_on_the_wire(people: People, wire: Callable[..., Exchange], record: Recorder) -> None:
    asked = '{"email": "ama@example.com", "password": "a long enough secret"}'
    answer = wire("POST", "/browser/token/", JSON, asked)
    record("tokens_cookie.http", hidden(answer.text).replace(PASSWORD, "…"))


@pytest.mark.urls("lab.rest_apis.tokens")
@pytest.mark.databases
def test_a_browser_refreshes_with_a_cookie_that_scripts_cannot_read(people: People) -> None:
    browser = APIClient()
    first = browser.post("/browser/token/", {"email": "ama@example.com", "password": PASSWORD})
    assert set(first.json()) == {"access"}
    cookie = browser.cookies["refresh"]
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Strict")
    assert (cookie["path"], cookie["max-age"]) == ("/browser/token/", 24 * 3600)
    used = cookie.value
    second = browser.post("/browser/token/refresh/")
    assert set(second.json()) == {"access"}
    assert browser.cookies["refresh"].value != used
    browser.cookies["refresh"] = used
    assert browser.post("/browser/token/refresh/").status_code == 401
    # The body is no way around, and a form of another site cannot even sign in.
    pair = RefreshToken.for_user(people.ama)
    nothing = APIClient().post("/browser/token/refresh/", {"refresh": str(pair)})
    assert nothing.status_code == 401
    form = {"email": "ama@example.com", "password": PASSWORD}
    assert APIClient().post("/browser/token/", form, format=None, content_type="text/plain").status_code == 415


@pytest.mark.urls("lab.rest_apis.tokens")
@pytest.mark.databases
def test_signing_out_in_a_browser_revokes_the_token_and_deletes_its_cookie(people: People) -> None:
    browser = APIClient()
    browser.post("/browser/token/", {"email": "ama@example.com", "password": PASSWORD})
    token = browser.cookies["refresh"].value
    out = browser.post("/browser/token/revoke/")
    assert out.status_code == 200
    gone = out.cookies["refresh"]
    assert (gone.value, gone["max-age"], gone["path"]) == ("", 0, "/browser/token/")
    browser.cookies["refresh"] = token
    assert browser.post("/browser/token/refresh/").json()["detail"] == "Token is blacklisted"
    assert APIClient().post("/browser/token/revoke/", {"refresh": token}).status_code == 401


@pytest.mark.urls("lab.rest_apis.tokens")
def test_a_script_of_the_page_gets_an_access_token_and_no_refresh_token(people: People) -> None:
    browser = APIClient()
    browser.post("/browser/token/", {"email": "ama@example.com", "password": PASSWORD})
    stolen = browser.post("/browser/token/refresh/").json()  # the browser adds the cookie
    assert set(stolen) == {"access"}
    with override_settings(ROOT_URLCONF="lab.urls"):  # from anywhere, without the cookie
        assert status(stolen["access"]) == 200


@pytest.mark.urls("lab.rest_apis.tokens")
def test_signing_in_with_a_browser_is_limited_as_elsewhere(people: People) -> None:
    wrong = {"email": "ama@example.com", "password": "wrong"}
    answers = [APIClient().post("/browser/token/", wrong).status_code for _ in range(21)]
    assert (set(answers[:20]), answers[20]) == ({401}, 429)
