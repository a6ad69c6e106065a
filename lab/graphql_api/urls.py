"""The one URL of the graph."""

from django.urls import path

from lab.graphql_api.schema import schema
from lab.graphql_api.views import AcademyView

urlpatterns = [
    # --8<-- [start:url]
    path(
        "",
        AcademyView.as_view(
            schema=schema,
            graphql_ide="graphiql",  # with DEBUG alone
            multipart_uploads_enabled=False,
        ),
        name="graphql",
    )
    # --8<-- [end:url]
]
