"""The URLs of the academy's pages."""

from django.urls import path

from lab.django_app import views

urlpatterns = [
    # --8<-- [start:courses]
    path("", views.course_list, name="course_list"),
    path("courses/<slug:slug>/", views.course_detail, name="course_detail"),
    # --8<-- [end:courses]
]
