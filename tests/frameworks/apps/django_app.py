"""Django in one file: `bicorn django_app:wsgi` and `bicorn django_app:asgi`.

The views are synchronous for both: under ASGI Django runs them in a thread. /download hands Django
an iterator of the interface that serves it, as its documentation asks.
"""

import os

from content import Deliberate, blocks, blocks_async, describe
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path

SECRET_KEY = "for the tests alone"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = __name__
USE_TZ = True
# As it is, Django writes the traceback of a failed view nowhere unless DEBUG is on.
LOGGING = {
    "version": 1,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {"django.request": {"handlers": ["stderr"], "level": "ERROR"}},
}
os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"Hello, {request.GET.get('name', 'you')}!")


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.POST['name']} from {request.POST['city']}")


def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    return HttpResponse(describe(file.name, file))


def download(request: HttpRequest) -> StreamingHttpResponse:
    iterator = blocks_async() if isinstance(request, ASGIRequest) else blocks()
    return StreamingHttpResponse(iterator, content_type="application/octet-stream")


def cookies(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(request.COOKIES.get("given", "none"))
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def elsewhere(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/")


def error(request: HttpRequest) -> HttpResponse:
    raise Deliberate("django")


urlpatterns = [
    path("", index),
    path("form", form),
    path("upload", upload),
    path("download", download),
    path("cookies", cookies),
    path("redirect", elsewhere),
    path("error", error),
]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
