"""The lab's URLs: each chapter brings its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("lab.django_app.urls")),
    path("api/v1/", include("lab.rest_apis.urls")),
    path("graphql/", include("lab.graphql_api.urls")),
]

# --8<-- [start:handlers]
handler400 = "lab.rest_apis.errors.bad_request"
handler403 = "lab.rest_apis.errors.forbidden"
handler404 = "lab.rest_apis.errors.not_found"
handler500 = "lab.rest_apis.errors.failed"
# --8<-- [end:handlers]
