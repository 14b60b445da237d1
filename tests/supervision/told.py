"""What the error log is expected to say: patterns, matched loosely, and no other file of these tests has any."""

READY = r"worker (\d+) is ready"
"""A worker that was started after the first one; its process is the group."""


def stop_has_begun() -> str:
    return "finishing what is in flight"


def end_of(pid: int, cause: str) -> str:
    return rf"worker {pid} .*{cause}"


def report_of(pid: int) -> str:
    """Where the report of a worker begins that is about to be killed."""
    return rf"worker {pid} has not come back"


STOPPED = r"\bstopped\b|SIGSTOP"
"""What a report says of a worker that somebody has stopped."""

NEW_PARENT = r"the new parent (\d+) serves"
FAILED_UPGRADE = r"(?i)upgrade.*(failed|did not)"
OWN_ERROR = "this version does not even start"
"""What the application says that cannot be imported."""
