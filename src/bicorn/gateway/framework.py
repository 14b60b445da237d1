"""The name and version of the framework that an application was made with, for the banner and nothing else.

No framework is imported: an object names the package of its class, and the package's metadata directory names
its version. `importlib.metadata` would say the same, and takes longer to import than a small application.
"""

from __future__ import annotations

import os
import sys

# Import package: what people call it. The first one in an object's classes counts, so an application that is
# a subclass is known too, and FastAPI is not taken for the Starlette underneath.
_FRAMEWORKS = {
    "aiohttp": "aiohttp",
    "blacksheep": "BlackSheep",
    "bottle": "Bottle",
    "cherrypy": "CherryPy",
    "connexion": "Connexion",
    "django": "Django",
    "falcon": "Falcon",
    "fastapi": "FastAPI",
    "flask": "Flask",
    "litestar": "Litestar",
    "pyramid": "Pyramid",
    "quart": "Quart",
    "sanic": "Sanic",
    "starlette": "Starlette",
    "tornado": "Tornado",
    "web2py": "web2py",
}


def framework_of(app: object) -> tuple[str, str]:
    """Name and version; empty where they are not known."""
    for cls in type(app).__mro__:
        package = (cls.__module__ or "").partition(".")[0]
        if package in _FRAMEWORKS:
            return _FRAMEWORKS[package], _version(package)
    return "", ""


def _version(package: str) -> str:
    """From the name of ``fastapi-0.1.2.dist-info``, beside the package."""
    module = sys.modules.get(package)
    location = getattr(module, "__file__", None)
    if not location:
        return ""
    directory = os.path.dirname(location)
    if os.path.basename(location).startswith("__init__."):
        directory = os.path.dirname(directory)
    try:
        entries = os.listdir(directory)
    except OSError:
        return ""
    for entry in map(str, entries):
        name, _, rest = entry.partition("-")
        if rest.endswith(".dist-info") and name.casefold() == package:
            return rest.removesuffix(".dist-info")
    return ""
