"""A cache around the graph that does not ask who is asking."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import GraphQLView

from lab.graphql_api.schema import schema
from lab.graphql_api.views import AcademyView

# --8<-- [start:wrong_kept]
wrong_kept = cache_page(60)(GraphQLView.as_view(schema=schema, graphql_ide=None))
# --8<-- [end:wrong_kept]
kept = cache_page(60)(AcademyView.as_view(schema=schema, graphql_ide=None))
alone = GraphQLView.as_view(schema=schema, graphql_ide=None)

urlpatterns = [
    path("wrong/", login_not_required(wrong_kept)),
    path("right/", login_not_required(kept)),
    path("graphql/", AcademyView.as_view(schema=schema, graphql_ide=None)),
    path("alone/", login_not_required(csrf_exempt(alone))),
]
