"""Pyramid: `bicorn pyramid_app:app`."""

from content import Deliberate, blocks, describe
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.request import Request
from pyramid.response import Response


def index(request: Request) -> Response:
    return Response(text=f"Hello, {request.GET.get('name', 'you')}!")


def form(request: Request) -> Response:
    return Response(text=f"{request.POST['name']} from {request.POST['city']}")


def upload(request: Request) -> Response:
    file = request.POST["file"]
    return Response(text=describe(file.filename, file.file))


def download(request: Request) -> Response:
    return Response(app_iter=blocks(), content_type="application/octet-stream")


def cookies(request: Request) -> Response:
    response = Response(text=request.cookies.get("given", "none"))
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def elsewhere(request: Request) -> Response:
    return HTTPFound("/")


def error(request: Request) -> Response:
    raise Deliberate("pyramid")


with Configurator() as config:
    for view in (form, upload, download, cookies, error):
        config.add_route(view.__name__, f"/{view.__name__}")
        config.add_view(view, route_name=view.__name__)
    config.add_route("index", "/")
    config.add_view(index, route_name="index")
    config.add_route("redirect", "/redirect")
    config.add_view(elsewhere, route_name="redirect")
    app = config.make_wsgi_app()
