"""A password hasher for tests: a million rounds are slow on purpose, and most tests do not test that."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Django's own hasher with ten rounds: what is stored looks as in production."""

    iterations = 10
