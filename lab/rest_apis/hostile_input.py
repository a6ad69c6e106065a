"""A look into the database with what a client has sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers
from rest_framework.exceptions import NotFound

from lab.academy.models import Course

if TYPE_CHECKING:
    from collections.abc import Mapping


# --8<-- [start:wrong_find]
def wrong_find(data: Mapping[str, Any]) -> Course:
    """Return the course that a client names."""
    course = Course.objects.filter(slug=data["slug"]).first()
    if course is None:
        raise NotFound
    return course


# --8<-- [end:wrong_find]


# --8<-- [start:find]
class NamedCourse(serializers.Serializer):
    """The name of a course."""

    slug = serializers.SlugField(max_length=140)


def find(data: Mapping[str, Any]) -> Course:
    """Return the course that a client names."""
    named = NamedCourse(data=data)
    named.is_valid(raise_exception=True)
    course = Course.objects.filter(**named.validated_data).first()
    if course is None:
        raise NotFound
    return course


# --8<-- [end:find]
