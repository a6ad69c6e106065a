"""One page, which asks the database."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path


def index(request: HttpRequest) -> HttpResponse:
    """Answer what the database says."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'The database is there.'")
        return HttpResponse(cursor.fetchone()[0], content_type="text/plain")


urlpatterns = [path("", index)]
