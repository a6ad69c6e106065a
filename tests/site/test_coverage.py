"""Every bullet of the brief leads to a section that treats it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

FEWEST_WORDS = 40

# What the handbook was asked to cover, in the owner's words.
BRIEF = [
    "Overview of the program",
    "Goal of this hub",
    "Fundamentals and intermediate concepts",
    "Object-oriented programming",
    "Virtual environments",
    "Package management (pip, pipenv, poetry)",
    "Django MVC (MTV) architecture",
    "Models, Views, Templates",
    "ORM for database operations",
    "Authentication and Authorization",
    "Building full backend applications",
    "Django REST Framework (DRF)",
    "Serializers & ViewSets",
    "API routing",
    "Request/response cycle",
    "Status codes and error handling",
    "GraphQL schemas",
    "Queries & mutations",
    "Integrating GraphQL with Django",
    "Differences between REST & GraphQL",
    "Containerization concepts",
    "Creating Dockerfiles",
    "Managing services with Docker Compose",
    "Running Django + databases inside containers",
    "Automated testing",
    "GitHub Actions workflows",
    "Continuous integration pipelines",
    "Deployment best practices",
    "Relational database principles",
    "Normalization",
    "Designing models & relationships (One-To-Many, Many-To-Many)",
    "Using PostgreSQL & MySQL",
    "Query optimization through Django ORM",
    "Async vs synchronous execution",
    "Python async/await",
    "Building async views in Django",
    "When to use async for performance",
    "Importance of caching in backend performance",
    "Redis caching",
    "Query caching, page caching, and fragment caching",
    "Cache invalidation and TTL management",
    "Inconsistent serializer validation leading to broken endpoints",
    "Proper field-level validations, custom error messages, and DRF validators",
    "Designing relationships for scalable models",
    "Database normalization, related managers, and optimized ORM queries",
    "Containers failing due to missing environment variables or misconfigured services",
    ".env files, improved Dockerfile structure, and correctly configured Compose services",
    "Write clean, maintainable, and modular code",
    "Always separate concerns (business logic, database logic, presentation)",
    "Use version control (Git) consistently with clear commit messages",
    "Document APIs and code for clarity and collaboration",
    "Test early, test often: bugs become more expensive the longer they live",
    "Prioritize security: environment variables, authentication, permissions",
    "Be comfortable reading documentation: it is your best friend",
    "Automation (CI/CD) increases reliability and reduces errors",
    "Conclusion",
]


def rows(html: dict[str, BeautifulSoup]) -> dict[str, str]:
    """Return the topics of the coverage page with the addresses they lead to."""
    return {
        cells[0].get_text().strip(): urljoin("about/coverage/", str(cells[1].find("a")["href"]))  # type: ignore[index]
        for row in html["about/coverage/"].select("tbody tr")
        if (cells := row.find_all("td"))
    }


def section_words(heading: Tag) -> int:
    """Count the words of prose below a heading, up to the next heading of its level or a higher one."""
    words = 0
    for sibling in heading.find_next_siblings():
        if sibling.name in {"h1", "h2", "h3"} and sibling.name <= heading.name:
            break
        words += sum(len(text.split()) for text in sibling.find_all(string=True) if not text.find_parent("pre"))
    return words


def test_the_page_lists_the_brief_and_nothing_else(html: dict[str, BeautifulSoup]) -> None:
    assert sorted(rows(html)) == sorted(BRIEF)


@pytest.mark.parametrize("bullet", BRIEF)
def test_a_bullet_leads_to_a_section_that_treats_it(html: dict[str, BeautifulSoup], bullet: str) -> None:
    path, _, anchor = rows(html)[bullet].partition("#")
    assert path in html
    heading = html[path].find(id=anchor)
    assert heading is not None, f"{path} has no section {anchor}"
    assert section_words(heading) >= FEWEST_WORDS
