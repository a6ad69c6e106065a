"""The same endpoint under five URLs, and the graph with a memory for queries under a sixth."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework import routers
from strawberry.django.views import GraphQLView

from lab.same_endpoint import asynchronous, cached, framework, graph, plain

# --8<-- [start:urls]
router = routers.SimpleRouter()
router.register("framework", framework.CatalogViewSet, basename="catalog")
graphql = GraphQLView.as_view(schema=graph.schema, graphql_ide=None)

urlpatterns = [
    path("plain/", plain.catalog),
    path("asynchronous/", asynchronous.catalog),
    path("cached/", cached.catalog),
    *router.urls,
    path("graphql/", login_not_required(csrf_exempt(graphql))),
]
# --8<-- [end:urls]

remembering = GraphQLView.as_view(schema=graph.remembering, graphql_ide=None)
urlpatterns.append(path("remembering/", login_not_required(csrf_exempt(remembering))))
