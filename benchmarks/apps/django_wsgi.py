"""A Django application with one route, for WSGI: the view is a function."""

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.apps.django_settings import configure


def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello, World!", content_type="text/plain")


urlpatterns = [path("", hello)]

configure(__name__)
app = get_wsgi_application()
