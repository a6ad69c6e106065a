"""The lab's URLs: each chapter brings its own."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("lab.django_app.urls")),
]
