"""A WSGI application that shows its environ at every path."""

from collections.abc import Iterable

from wsgi_cases import Environ, Start, facts


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return facts(environ, start_response)
