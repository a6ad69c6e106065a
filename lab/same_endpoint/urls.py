"""The same endpoint under three URLs, and the graph with a memory for queries under a fourth."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import routers
from strawberry.django.views import GraphQLView

from lab.same_endpoint import framework, graph, plain

# --8<-- [start:urls]
router = routers.SimpleRouter()
router.register("framework", framework.CatalogViewSet, basename="catalog")
graphql = GraphQLView.as_view(schema=graph.schema, graphql_ide=None)

urlpatterns = [
    path("plain/", plain.catalog),
    *router.urls,
    path("graphql/", login_not_required(csrf_exempt(graphql))),
]
# --8<-- [end:urls]

cached = GraphQLView.as_view(schema=graph.cached, graphql_ide=None)
urlpatterns.append(path("cached/", login_not_required(csrf_exempt(cached))))
