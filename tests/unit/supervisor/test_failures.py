"""A worker that could not start is spoken of once, and in its own words where it had any."""

from bicorn.supervisor.channel import FAILED, Message
from bicorn.supervisor.failures import ReportedFailure, failure_of
from bicorn.supervisor.handle import WorkerHandle


def test_its_own_words(worker: WorkerHandle) -> None:
    worker.failure = Message(FAILED, 3, "Traceback\n  line 1\nimporting 'app' raised ValueError")
    failure = failure_of(worker, "exited with status 3")
    assert isinstance(failure, ReportedFailure)
    assert (str(failure), failure.details) == (
        "importing 'app' raised ValueError",
        "Traceback\n  line 1",
    )
    assert failure.exit_status == 3


def test_the_parents_reason(worker: WorkerHandle) -> None:
    worker.pid = 7
    worker.cause = "is not ready after 1 s (--startup-timeout)"
    assert str(failure_of(worker, "was killed by SIGABRT")) == f"worker 7 {worker.cause}"


def test_how_it_ended(worker: WorkerHandle) -> None:
    worker.pid = 7
    text = "worker 7 was killed by SIGSEGV before it was ready"
    assert str(failure_of(worker, "was killed by SIGSEGV")) == text
