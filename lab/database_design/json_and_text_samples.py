"""Answers in a JSON column, and courses that are searched. The tests make the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import (
    SearchQuery,
    SearchRank,
    SearchVector,
    SearchVectorField,
    TrigramWordSimilarity,
)
from django.db import models
from django.db.models import F, Index, Lookup
from django.db.models.fields.json import KT

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet
    from django.db.models.sql.compiler import SQLCompiler


# --8<-- [start:wrong_application]
class Application(models.Model):
    """What somebody wrote into the form of a course."""

    answers = models.JSONField(default=dict)

    # --8<-- [end:wrong_application]
    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return f"application {self.pk}"


# --8<-- [start:checked]
class CheckedApplication(models.Model):
    """What each has to answer is a column; the rest stays a document."""

    level = models.CharField(max_length=12)
    hours = models.PositiveSmallIntegerField()
    answers = models.JSONField(default=dict)

    # --8<-- [end:checked]
    class Meta:
        app_label = "database_design"


# --8<-- [start:gin]
GIN = GinIndex(
    fields=["answers"], opclasses=["jsonb_path_ops"], name="application_answers"
)
CITY = Index(KT("answers__city"), name="application_city")
# --8<-- [end:gin]


# --8<-- [start:generated]
class ApplicationWithCity(models.Model):
    """An application whose city is a column too, kept by the database."""

    answers = models.JSONField(default=dict)
    city = models.GeneratedField(
        expression=KT("answers__city"),
        output_field=models.CharField(max_length=40),
        db_persist=True,
        db_index=True,
    )

    # --8<-- [end:generated]
    class Meta:
        app_label = "database_design"


# --8<-- [start:page]
class SearchableCourse(models.Model):
    """A course that is found by the words of its title and description."""

    title = models.CharField(max_length=120)
    description = models.TextField()
    words = models.GeneratedField(
        expression=SearchVector("title", weight="A", config="english")
        + SearchVector("description", weight="B", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        app_label = "database_design"
        indexes = [GinIndex(fields=["words"], name="course_words")]

    # --8<-- [end:page]
    def __str__(self) -> str:
        return self.title


# --8<-- [start:search]
def search(text: str) -> QuerySet[Any]:
    """Return the courses that match what somebody typed, the best first."""
    query = SearchQuery(text, config="english", search_type="websearch")
    courses = SearchableCourse._default_manager.filter(words=query)
    found: QuerySet[Any] = courses.annotate(rank=SearchRank(F("words"), query))
    return found.order_by("-rank", "pk")


# --8<-- [end:search]


# --8<-- [start:similar]
def similar(text: str) -> QuerySet[Any]:
    """Return the courses with a word like this in their title, the nearest first."""
    return (
        SearchableCourse._default_manager.annotate(
            near=TrigramWordSimilarity(text, "title")
        )
        .filter(near__gt=0.4)
        .order_by("-near", "pk")
    )


# --8<-- [end:similar]


class PlainCourse(models.Model):
    """A course on MariaDB; a RunSQL adds the index."""

    title = models.CharField(max_length=120)
    description = models.TextField()

    class Meta:
        app_label = "database_design"

    def __str__(self) -> str:
        return self.title


# --8<-- [start:match]
@models.TextField.register_lookup
class Match(Lookup):
    """``description__match="+sql -excel"`` on MariaDB and MySQL."""

    lookup_name = "match"
    prepare_rhs = False

    def as_mysql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, list[Any]]:
        """Return the condition."""
        column, first = self.process_lhs(compiler, connection)
        text, second = self.process_rhs(compiler, connection)
        return f"MATCH ({column}) AGAINST ({text} IN BOOLEAN MODE)", [*first, *second]


# --8<-- [end:match]
