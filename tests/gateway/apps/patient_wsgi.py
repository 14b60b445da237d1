"""A WSGI application that takes its time."""

import time
from collections.abc import Iterable

from plain_wsgi import Environ, Start, echo, hello

LONGER_THAN_ANY_TIMEOUT = 1.2


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    match environ["PATH_INFO"]:
        case "/now":
            return hello(environ, start_response)
        case "/block":
            print("blocking", flush=True)
            time.sleep(LONGER_THAN_ANY_TIMEOUT)
            return hello(environ, start_response)
        case _:
            return echo(environ, start_response)
