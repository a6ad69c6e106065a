"""What a cloud has to check before it lets a GitHub job in."""

from __future__ import annotations

from typing import Any

import jwt

# --8<-- [start:trust]
ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "https://cloud.example.com"
SUBJECT = "repo:ama@1234/academy@5678:environment:production"


def trust(token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
    """Return the claims of a job that may deploy.

    Raises:
        jwt.InvalidTokenError: It is not that job, or nobody signed the token.
    """
    return jwt.decode(
        token,
        key,
        algorithms=algorithms,
        issuer=ISSUER,
        audience=AUDIENCE,
        subject=SUBJECT,
        options={"require": ["exp", "iat", "sub"]},  # what is missing is not checked
    )


# --8<-- [end:trust]


# --8<-- [start:wrong_trust]
def wrong_trust(token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
    """Let every job of the repository in: branches and pull requests too."""
    claims = jwt.decode(
        token, key, algorithms=algorithms, issuer=ISSUER, audience=AUDIENCE
    )
    if not claims["sub"].startswith("repo:ama"):
        raise jwt.InvalidTokenError(claims["sub"])
    return claims


# --8<-- [end:wrong_trust]
