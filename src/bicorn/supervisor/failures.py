"""Why a worker could not start, in its own words where it had any."""

from __future__ import annotations

from bicorn.errors import OperatorError, WorkerStartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.supervisor.handle import WorkerHandle


class ReportedFailure(OperatorError):
    """A worker's own words for why it could not start, and its exit status."""

    def __init__(self, text: str, exit_status: int) -> None:
        self.details, _, line = text.rpartition("\n")
        super().__init__(line)
        self.exit_status = exit_status


def failure_of(worker: WorkerHandle, how: str) -> ReportedFailure | WorkerStartError:
    """For a worker that has ended without ever having been ready; ``how`` says how."""
    if worker.failure is not None:
        return ReportedFailure(worker.failure.text, worker.failure.status)
    if worker.cause:
        return WorkerStartError(f"{worker} {worker.cause}")
    return WorkerStartError(f"{worker} {how} before it was ready")
