"""Forms of the academy's pages."""

from __future__ import annotations

from typing import Any

from django import forms

from lab.academy.models import Course, Enrollment


# --8<-- [start:course]
class CourseForm(forms.ModelForm):
    """What somebody fills in who offers to teach a course."""

    class Meta:
        model = Course
        fields = ["title", "slug", "starts_on", "ends_on"]
        help_texts = {"slug": "The last part of its address."}

    def clean_title(self) -> str:
        """Return the title with single spaces, or refuse it."""
        title = " ".join(self.cleaned_data["title"].split())
        if title.endswith("!"):
            raise forms.ValidationError("A title needs no exclamation mark.")
        return title

    def clean(self) -> dict[str, Any]:
        """Compare the two dates, if both are dates."""
        super().clean()
        cleaned = self.cleaned_data
        first, last = cleaned.get("starts_on"), cleaned.get("ends_on")
        if first and last and last < first:
            self.add_error("ends_on", "The last day is before the first.")
        return cleaned


# --8<-- [end:course]


# --8<-- [start:enroll]
class EnrollForm(forms.Form):
    """Which course a learner wants a seat in."""

    course = forms.ModelChoiceField(
        Course.objects.filter(published=True), to_field_name="slug"
    )


# --8<-- [end:enroll]


# --8<-- [start:wrong_all]
class WrongEnrollmentForm(forms.ModelForm):
    """A learner picks a course."""

    class Meta:
        model = Enrollment
        fields = "__all__"
        # --8<-- [end:wrong_all]


# --8<-- [start:some]
class OwnEnrollmentForm(forms.ModelForm):
    """A learner picks a course; the view says who she is."""

    class Meta:
        model = Enrollment
        fields = ["course"]
        # --8<-- [end:some]


# --8<-- [start:seat]
class SeatForm(forms.ModelForm):
    """The office gives a learner a seat."""

    class Meta:
        model = Enrollment
        fields = ["learner", "course"]
        # --8<-- [end:seat]
