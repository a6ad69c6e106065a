"""A graph of the academy with graphene-django, for a process without the lab's GraphQL.

graphene-django needs an older graphql-core than Strawberry. scripts/install.sh puts both into a
folder of their own, which PYTHONPATH names.
"""
# mypy: disallow-subclassing-any=False
# (graphene is not there when types are checked.)
# ruff: noqa: ARG003, N805
# (Arguments have the names of the documentation; the first of a resolver is the row, not the type.)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import graphene  # type: ignore[import-not-found]
from django.urls import path
from graphene import relay
from graphene_django import (  # type: ignore[import-not-found]
    DjangoConnectionField,
    DjangoObjectType,
)
from graphene_django.registry import Registry  # type: ignore[import-not-found]
from graphene_django.views import GraphQLView  # type: ignore[import-not-found]

from lab.academy import models

if TYPE_CHECKING:
    from django.db.models import QuerySet


# --8<-- [start:types]
class Tag(DjangoObjectType):
    """A word that courses can be found by."""

    class Meta:
        model = models.Tag
        fields = ["name"]


class Lesson(DjangoObjectType):
    """One part of a course."""

    class Meta:
        model = models.Lesson
        fields = ["title", "minutes", "course"]


class Course(DjangoObjectType):
    """Something to learn."""

    weeks = graphene.Int()

    class Meta:
        model = models.Course
        fields = ["slug", "title", "level", "starts_on", "tags", "lessons"]
        interfaces = [relay.Node]

    def resolve_weeks(root: Any, info: Any) -> int:
        """Return how long the course is; ``root`` is the row."""
        return int((root.ends_on - root.starts_on).days / 7)


# --8<-- [end:types]


# --8<-- [start:query]
class Query(graphene.ObjectType):
    """Where reading starts."""

    courses = DjangoConnectionField(Course)
    course = graphene.Field(Course, slug=graphene.String(required=True))
    lessons = graphene.List(Lesson)

    def resolve_course(root: Any, info: Any, slug: str) -> models.Course | None:
        """Return a published course."""
        return models.Course.objects.filter(published=True, slug=slug).first()

    def resolve_lessons(root: Any, info: Any) -> QuerySet[models.Lesson]:
        """Return all lessons."""
        return models.Lesson.objects.all()


# --8<-- [end:query]


# --8<-- [start:mutation]
class RenameCourse(graphene.Mutation):
    """Give a course another title."""

    class Arguments:
        slug = graphene.String(required=True)
        title = graphene.String(required=True)

    course = graphene.Field(Course)

    def mutate(root: Any, info: Any, slug: str, title: str) -> RenameCourse:
        """Rename the course, and return what the client may ask for."""
        course = models.Course.objects.get(slug=slug)
        course.title = title
        course.save()
        return RenameCourse(course=course)


class Mutation(graphene.ObjectType):
    """Where changing starts."""

    rename_course = RenameCourse.Field()


# --8<-- [end:mutation]

schema = graphene.Schema(query=Query, mutation=Mutation)

# --8<-- [start:urls]
urlpatterns = [
    path("graphql/", GraphQLView.as_view(schema=schema, graphiql=True)),
]
# --8<-- [end:urls]

alone = Registry()  # so that these types do not take the place of those above


# --8<-- [start:optimized]
class JoinedQuery(graphene.ObjectType):
    """The same lessons, with their courses fetched in advance."""

    lessons = graphene.List(Lesson)

    def resolve_lessons(root: Any, info: Any) -> QuerySet[models.Lesson]:
        """Return all lessons, each with its course."""
        return models.Lesson.objects.select_related("course")


# --8<-- [end:optimized]

joined = graphene.Schema(query=JoinedQuery)


# --8<-- [start:visible]
class VisibleCourse(DjangoObjectType):
    """A course that is published, on every path."""

    class Meta:
        model = models.Course
        fields = ["title"]
        registry = alone

    @classmethod
    def get_queryset(cls, queryset: QuerySet, info: Any) -> QuerySet:
        """Return what everybody can know of."""
        return queryset.filter(published=True)


# --8<-- [end:visible]


class LessonOfVisible(DjangoObjectType):
    """A lesson of a course that may be hidden."""

    class Meta:
        model = models.Lesson
        fields = ["title", "course"]
        registry = alone


class VisibleQuery(graphene.ObjectType):
    """The lessons with their courses fetched in advance, in vain."""

    lessons = graphene.List(LessonOfVisible)

    def resolve_lessons(root: Any, info: Any) -> QuerySet[models.Lesson]:
        """Return the lessons of published courses, each with its course."""
        published = models.Lesson.objects.filter(course__published=True)
        return published.select_related("course")


visible = graphene.Schema(query=VisibleQuery)
