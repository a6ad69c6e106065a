"""The chapter as a Django app."""

from django.apps import AppConfig


class GraphqlApiConfig(AppConfig):
    """The schema that the chapter on GraphQL quotes."""

    name = "lab.graphql_api"
