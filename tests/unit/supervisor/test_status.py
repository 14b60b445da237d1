"""The status has the facts under the names that scripts rely on."""

import json
from collections.abc import Sequence

from bicorn.supervisor.report import Subject
from bicorn.supervisor.status import Server, compose, to_text


class Facts:
    """A scoreboard on which slot 1 is the busy one."""

    def read(self, slot: int) -> dict[str, int]:
        if slot == 0:
            return {"heartbeat_ms": 99_900}
        return {"heartbeat_ms": 70_000, "turn": 1, "exchanges": 2, "requests": 9, "lag_us": 1500}

    def requests(self, slot: int) -> Sequence[tuple[str, str, str, str, int]]:
        return ()


def test_what_it_says() -> None:
    server = Server(pid=10, version="1.2", started=40.0, state="serving", generation=2)
    server.last_reload = "generation 2 serves\x1b[2J"
    workers = [Subject(11, 0, 2, 90.0, "serving"), Subject(12, 1, 1, 50.0, "draining")]
    status = compose(server, workers, Facts(), lambda pid: pid * 1000, 100.0)
    assert json.loads(to_text(status)) == status
    assert to_text(status).count("\n") == 1
    listed = status.pop("workers")
    assert status == {
        "pid": 10,
        "version": "1.2",
        "uptime": 60.0,
        "state": "serving",
        "generation": 2,
        "last_reload": "generation 2 serves\\x1b[2J",
    }
    assert (listed[0]["pid"], listed[0]["blocked"], listed[0]["requests"]) == (11, 0, 0)
    assert listed[1] == {
        "pid": 12,
        "slot": 1,
        "generation": 1,
        "state": "draining",
        "age": 50.0,
        "blocked": 30.0,
        "in_flight": 2,
        "busy_threads": 0,
        "lag": 0.0015,
        "memory": 12000,
        "connections": 0,
        "accepted": 0,
        "requests": 9,
        "errors": 0,
        "bytes_in": 0,
        "bytes_out": 0,
    }
