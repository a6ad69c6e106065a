"""What the page on models quotes beside the academy: two models of its own, and a form.

The file is not called models.py: Django would take that for the models of this app, and expect
their tables. The tests make the tables.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import F

from lab.academy.models import Enrollment, Learner

if TYPE_CHECKING:
    from typing import Self

    from lab.academy.models import Course


# --8<-- [start:fee]
class FeeQuerySet(models.QuerySet["Fee"]):
    """Fees, and the questions that are asked of them."""

    def unpaid(self) -> Self:
        """Only the fees that nobody has paid yet."""
        return self.filter(paid_on=None)


class Fee(models.Model):
    """What somebody pays for a course."""

    payer = models.CharField(max_length=80)
    amount = models.DecimalField(max_digits=8, decimal_places=2)
    discount = models.DecimalField(max_digits=8, decimal_places=2, default=Decimal(0))
    rough = models.FloatField(help_text="the amount as a float, to compare")
    currency = models.CharField(max_length=3, db_default="GHS")
    paid_on = models.DateField(null=True, blank=True)
    due = models.GeneratedField(
        expression=F("amount") - F("discount"),
        output_field=models.DecimalField(max_digits=8, decimal_places=2),
        db_persist=True,
    )

    objects = FeeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.payer}: {self.due} {self.currency}"


# --8<-- [end:fee]


# --8<-- [start:wrong_null]
class Profile(models.Model):
    """A learner's own words. Here nothing has two spellings."""

    motto = models.CharField(max_length=80, null=True, blank=True)


# --8<-- [end:wrong_null]


# --8<-- [start:wrong_form]
class SignUp(forms.ModelForm):
    """Asks for a name that nobody else has. Nothing but this form knows the rule."""

    class Meta:
        model = Learner
        fields = ["name", "email"]

    def clean_name(self) -> str:
        """Refuse a name that is taken."""
        name: str = self.cleaned_data["name"]
        if Learner.objects.filter(name=name).exists():
            raise ValidationError("This name is taken.")
        return name


# --8<-- [end:wrong_form]


# --8<-- [start:join]
def join(learner: Learner, course: Course) -> Enrollment:
    """Enroll a learner; the constraint enrolled_once decides who comes second."""
    enrollment = Enrollment(learner=learner, course=course)
    enrollment.full_clean()  # says what is wrong in words, field by field
    try:
        with transaction.atomic():
            enrollment.save()
    except IntegrityError as error:  # somebody else was faster
        raise ValidationError("You have joined this course before.") from error
    return enrollment


# --8<-- [end:join]
