"""Three proposals for the resource of an enrollment: one can be taken, two break clients."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from lab.academy.models import Enrollment  # noqa: TC001  (the description reads it)
from lab.rest_apis.serializers import EnrollmentSerializer


# --8<-- [start:wrong_mark]
@extend_schema_serializer(component_name="Enrollment")
class MarkSerializer(EnrollmentSerializer):
    """An enrollment whose grade has a shorter name."""

    mark = serializers.IntegerField(source="grade", read_only=True, allow_null=True)

    class Meta(EnrollmentSerializer.Meta):
        fields = ["id", "learner", "course", "enrolled_on", "mark"]
        read_only_fields = ["enrolled_on"]


# --8<-- [end:wrong_mark]


# --8<-- [start:wrong_reason]
@extend_schema_serializer(component_name="Enrollment")
class ReasonSerializer(EnrollmentSerializer):
    """An enrollment for which the learner must say why."""

    reason = serializers.CharField(write_only=True)

    class Meta(EnrollmentSerializer.Meta):
        fields = [*EnrollmentSerializer.Meta.fields, "reason"]


# --8<-- [end:wrong_reason]


# --8<-- [start:passed]
@extend_schema_serializer(component_name="Enrollment")
class PassedSerializer(EnrollmentSerializer):
    """An enrollment that also says whether the grade is enough."""

    passed = serializers.SerializerMethodField()

    class Meta(EnrollmentSerializer.Meta):
        fields = [*EnrollmentSerializer.Meta.fields, "passed"]

    def get_passed(self, enrollment: Enrollment) -> bool | None:
        """Return whether the grade is enough; None while there is no grade."""
        return None if enrollment.grade is None else enrollment.grade >= 60


# --8<-- [end:passed]
