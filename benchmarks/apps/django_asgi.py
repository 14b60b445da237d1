"""A Django application with one route, for ASGI: the view is a coroutine."""

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.apps.django_settings import configure


async def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello, World!", content_type="text/plain")


urlpatterns = [path("", hello)]

configure(__name__)
app = get_asgi_application()
