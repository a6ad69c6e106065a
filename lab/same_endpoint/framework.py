"""The catalog as a view set of Django REST framework."""

from __future__ import annotations

# --8<-- [start:view]
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import AllowAny

from lab.academy.models import Course


class CatalogSerializer(serializers.ModelSerializer):
    """A course, as far as the catalog shows it."""

    tags: serializers.Field = serializers.StringRelatedField(many=True)

    class Meta:
        model = Course
        fields = ["slug", "title", "level", "starts_on", "tags"]


class CatalogViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """The published courses, in pages of twenty."""

    queryset = Course.objects.filter(published=True).prefetch_related("tags")
    serializer_class = CatalogSerializer
    permission_classes = [AllowAny]
    filter_backends = [DjangoFilterBackend]
    filterset_fields = ["level"]


# --8<-- [end:view]
