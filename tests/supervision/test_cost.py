"""What a hello costs the processor, beside an earlier version of this server.

SOAK_BASELINE is the `src` folder of that version, its native core built. The two are measured in turns, because a
machine is not equally fast all the time; the figures mean nothing on another machine, so none is recorded.
"""

import os

import pytest

from tests.supervision.conftest import QUIET, Figure
from tests.supervision.processes import read
from tests.support.load import load
from tests.support.server import Server, serving

BASELINE = os.environ.get("SOAK_BASELINE", "")
TURNS = 30
REQUESTS = 5_000
MOST = 1.02
HELLO = {
    "wsgi": "def app(environ, start_response):\n"
    "    start_response('200 OK', [('x-worker', '1')])\n"
    "    return [environ['PATH_INFO'][6:].encode()]\n",
    "asgi": "async def app(scope, receive, send):\n"
    "    fields = [(b'x-worker', b'1')]\n"
    "    await send({'type': 'http.response.start', 'status': 200, 'headers': fields})\n"
    "    await send({'type': 'http.response.body', 'body': scope['path'][6:].encode()})\n",
}


@pytest.mark.skipif(not BASELINE, reason="SOAK_BASELINE names no earlier version to compare with")
@pytest.mark.timeout(300)
def test_a_hello_costs_no_more_than_before(
    interface: str, tmp_path_factory: pytest.TempPathFactory, figure: Figure
) -> None:
    folder = tmp_path_factory.mktemp("hello")
    (folder / "hello.py").write_text(HELLO[interface])
    before = {"PYTHONPATH": BASELINE}
    options = ("hello:app", "--lifespan=off", *QUIET)
    with (
        serving(*options, cwd=folder) as server,
        serving(*options, cwd=folder, environment=before) as earlier,
    ):
        costs = [(cost(server), cost(earlier)) for _ in range(TURNS)]
    # The least of each is the one that the rest of the machine has disturbed least.
    now, then = (min(turns) for turns in zip(*costs, strict=True))
    figure(f"{now / 1000:.2f} us, {now / then - 1:+.2%}")
    assert now / then <= MOST, costs


def cost(server: Server) -> float:
    """Nanoseconds of the worker's processor time for a request."""
    [worker] = server.workers()
    before = nanoseconds(worker)
    with load(server.address, {"keep-alive": 1}, count=REQUESTS) as clients:
        result = clients.result()
    assert (result.failed, result.answered["keep-alive"]) == (0, REQUESTS), str(result)
    return (nanoseconds(worker) - before) / REQUESTS


def nanoseconds(pid: int) -> int:
    """On a processor, as the scheduler counts it: finer than the ticks of ``stat``."""
    return sum(
        int(read(pid, f"task/{task}/schedstat").split()[0])
        for task in os.listdir(f"/proc/{pid}/task")
    )
