"""The chapter as a Django app."""

from django.apps import AppConfig


class DjangoAppConfig(AppConfig):
    """The views, forms and templates that the Django chapter quotes."""

    name = "lab.django_app"
