"""Ask servers behind a balancer, with cookies, as a browser does."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.client import HTTPConnection
from urllib.parse import urlsplit

SERVED = {"DJANGO_SETTINGS_MODULE": "tests.lab.system_design.served"}


@dataclass
class Answer:
    """What came back."""

    status: int
    text: str
    server: str | None


@dataclass
class Visitor:
    """Somebody with a browser that keeps cookies; a connection for each request."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, body: str | None = None) -> Answer:
        """Ask for a path: with GET, or with POST if there is a body."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        headers = {**self.headers, "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            for cookie in answer.headers.get_all("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            return Answer(answer.status, answer.read().decode(), answer.getheader("X-Server"))
        finally:
            connection.close()


def name(url: str) -> str:
    """Return the host and the port of a URL."""
    return urlsplit(url).netloc
