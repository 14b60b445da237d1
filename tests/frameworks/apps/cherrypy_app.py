"""CherryPy: `bicorn cherrypy_app:app`. Its own server is not started; the mounted tree is the application."""

import logging
from collections.abc import Iterator

import cherrypy
from content import Deliberate, blocks, describe

# Neither a reloader nor signal handlers; it then writes no log either, so its errors are given a way out.
cherrypy.config.update({"environment": "embedded"})
cherrypy.log.error_log.addHandler(logging.StreamHandler())


class Root:
    @cherrypy.expose
    def index(self, name: str = "you") -> str:
        return f"Hello, {name}!"

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def form(self, name: str, city: str) -> str:
        return f"{name} from {city}"

    @cherrypy.expose
    @cherrypy.tools.allow(methods=["POST"])
    def upload(self, file: cherrypy._cpreqbody.Part) -> str:
        return describe(file.filename, file.file)

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def download(self) -> Iterator[bytes]:
        cherrypy.response.headers["Content-Type"] = "application/octet-stream"
        return blocks()

    @cherrypy.expose
    def cookies(self) -> str:
        cherrypy.response.cookie["first"] = "1"
        cherrypy.response.cookie["second"] = "2"
        given = cherrypy.request.cookie.get("given")
        return given.value if given else "none"

    @cherrypy.expose
    def redirect(self) -> None:
        raise cherrypy.HTTPRedirect("/")

    @cherrypy.expose
    def error(self) -> str:
        raise Deliberate("cherrypy")


cherrypy.tree.mount(Root(), "/")
app = cherrypy.tree
