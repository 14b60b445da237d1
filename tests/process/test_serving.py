"""A server started from the command line answers, and ends when it is told to."""

from pathlib import Path

import pytest

from tests.support.server import serving
from tests.support.wire import Wire, request

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", ["hello_asgi.py", "hello_wsgi.py"])
def test_an_example_is_served(example: str) -> None:
    with serving(example, cwd=EXAMPLES) as server, Wire(server.address) as wire:
        assert wire.send(request()).answer().status == 200
        assert wire.send(request()).answer().complete
