"""One rule, a seat only while there is one, in each of the places where Django would take it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from rest_framework import serializers

from lab.academy.enrolling import CannotEnroll
from lab.academy.models import Course, Enrollment


# --8<-- [start:rule]
def refuse_full(course: Course) -> None:
    """Raise when the course has no seat left."""
    if course.enrollments.count() >= course.seats:
        raise CannotEnroll("the course is full")


# --8<-- [end:rule]


class SeatForm(forms.ModelForm):
    """A seat, without the rule."""

    class Meta:
        model = Enrollment
        fields = ["learner", "course"]


# --8<-- [start:form]
class CheckingForm(SeatForm):
    """A seat, if there is one."""

    def clean_course(self) -> Course:
        """Ask the rule."""
        course: Course = self.cleaned_data["course"]
        try:
            refuse_full(course)
        except CannotEnroll as reason:
            raise ValidationError(str(reason)) from reason
        return course


# --8<-- [end:form]


class SeatSerializer(serializers.ModelSerializer):
    """A seat, without the rule."""

    class Meta:
        model = Enrollment
        fields = ["learner", "course"]


class CheckingSerializer(SeatSerializer):
    """A seat, if there is one."""

    def validate_course(self, course: Course) -> Course:
        """Ask the rule."""
        try:
            refuse_full(course)
        except CannotEnroll as reason:
            raise serializers.ValidationError(str(reason)) from reason
        return course


# --8<-- [start:clean]
class CheckingClean(models.Model):
    """A model whose rule stands in clean()."""

    course: Course

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Ask the rule."""
        try:
            refuse_full(self.course)
        except CannotEnroll as reason:
            raise ValidationError(str(reason)) from reason


# --8<-- [end:clean]


# --8<-- [start:wrong_save]
class CheckingSave(models.Model):
    """A model whose rule stands in save()."""

    course: Course

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """Ask the rule."""
        refuse_full(self.course)
        super().save(*args, **options)


# --8<-- [end:wrong_save]


# --8<-- [start:signal]
def check_seat(instance: Enrollment, **_: Any) -> None:
    """Ask the rule: a receiver of pre_save."""
    refuse_full(instance.course)


# --8<-- [end:signal]


# --8<-- [start:manager]
class CheckingQuerySet(models.QuerySet):
    """A manager's queryset whose create() asks the rule."""

    def create(self, **values: Any) -> Any:
        """Ask the rule."""
        refuse_full(values["course"])
        return super().create(**values)


# --8<-- [end:manager]
