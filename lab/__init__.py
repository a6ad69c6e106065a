"""The backend that the handbook's pages quote: one Django project, one package a chapter."""

from lab.celery import app as celery_app

__all__ = ["celery_app"]  # the tasks' decorator looks for it here
