"""What one may ask of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django_filters import rest_framework as filters
from django_filters.utils import translate_validation
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.settings import api_settings

from lab.academy.models import Course, Enrollment, Tag
from lab.rest_apis.errors import WrongParameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from rest_framework.request import Request


# --8<-- [start:courses]
class CourseFilter(filters.FilterSet):
    """The parameters of the catalog. Days count themselves in."""

    starts_from = filters.DateFilter("starts_on", "gte")
    starts_until = filters.DateFilter("starts_on", "lte")
    tag = extend_schema_field(str)(
        filters.ModelMultipleChoiceFilter(
            field_name="tags__name", to_field_name="name", queryset=Tag.objects.all()
        )
    )
    free = filters.TypedChoiceFilter(
        choices=[("true", "true"), ("false", "false")],
        coerce="true".__eq__,
        method="with_free_seats",
    )

    class Meta:
        model = Course
        fields = ["level"]

    @extend_schema_field({"type": "string", "enum": ["true", "false"]})
    def with_free_seats(
        self, queryset: QuerySet[Course], name: str, value: bool
    ) -> QuerySet[Course]:
        """Return the courses that have a free seat, or those that have none."""
        rows = Enrollment.objects.filter(course=OuterRef("pk")).order_by()
        taken = rows.values("course").annotate(number=Count("pk")).values("number")
        courses = queryset.alias(taken=Coalesce(Subquery(taken), 0))
        if value:
            return courses.filter(taken__lt=F("seats"))
        return courses.filter(taken__gte=F("seats"))


# --8<-- [end:courses]


# --8<-- [start:filtering]
class Filtering(filters.DjangoFilterBackend):
    """Filters a list, and refuses parameters that nothing reads."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet, view: Any
    ) -> QuerySet:
        """Return the rows that the query asks for."""
        filterset = self.get_filterset(request, queryset, view)
        known = {api_settings.URL_FORMAT_OVERRIDE, *filterset.filters}
        others = [kind() for kind in view.filter_backends if kind is not type(self)]
        for reader in (*others, view.paginator):
            for parameter in reader.get_schema_operation_parameters(view):
                known.add(parameter["name"])
        wrong = {
            name: [ErrorDetail("There is no such parameter.", "unknown")]
            for name in request.query_params
            if name not in known
        }
        if not filterset.is_valid():
            wrong |= translate_validation(filterset.errors).detail
        if wrong:
            raise WrongParameters(wrong)
        rows: QuerySet = filterset.qs
        return rows


# --8<-- [end:filtering]


class Search(SearchFilter):
    """Searches, and says which parameter is wrong."""

    def get_search_terms(self, request: Request) -> list[str]:
        """Return the words to find."""
        try:
            terms: list[str] = super().get_search_terms(request)
        except ValidationError as error:
            raise WrongParameters({self.search_param: error.detail}) from error
        return terms


# --8<-- [start:ordering]
class Ordering(OrderingFilter):
    """Orders by the fields that the view names, and then by the key."""

    ordering_fields = ()  # without names there is no choice

    def remove_invalid_fields(
        self, queryset: QuerySet, fields: Iterable[str], view: Any, request: Request
    ) -> list[str]:
        """Return the order, without ties; refuse other fields."""
        valid = super().remove_invalid_fields(queryset, fields, view, request)
        if valid != list(fields):
            refusal = ErrorDetail("The list has no such order.", "unknown")
            raise WrongParameters({self.ordering_param: [refusal]})
        return [*valid, "pk"]


# --8<-- [end:ordering]


class Words(filters.BaseInFilter, filters.CharFilter):
    """Words with commas between them."""


# --8<-- [start:wrong_tags]
class WrongTags(filters.FilterSet):
    """The courses with one of several tags: ?tag=web,data."""

    tag = Words(field_name="tags__name", lookup_expr="in")


# --8<-- [end:wrong_tags]
