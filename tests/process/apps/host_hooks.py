"""Hooks that write down when they were called, and by which process; one of them fails."""

import os

from bicorn.hooks import Hooks, ServerView, WorkerView


class Tell(Hooks):
    def on_starting(self, server: ServerView) -> None:
        told(f"on_starting parent={is_parent(server)} workers={len(server.workers)}")

    def when_ready(self, server: ServerView) -> None:
        told(f"when_ready parent={is_parent(server)} workers={len(server.workers)}")

    def pre_fork(self, server: ServerView, worker: WorkerView) -> None:
        told(f"pre_fork parent={is_parent(server)} pid={worker.pid} slot={worker.slot}")

    def post_fork(self, server: ServerView, worker: WorkerView) -> None:
        told(f"post_fork parent={is_parent(server)} own={worker.pid == os.getpid()}")

    def worker_ready(self, server: ServerView, worker: WorkerView) -> None:
        told(f"worker_ready parent={is_parent(server)} slot={worker.slot} cause={worker.cause!r}")
        raise SystemExit("the operator's own")

    def worker_exit(self, server: ServerView, worker: WorkerView) -> None:
        told(f"worker_exit parent={is_parent(server)} cause={worker.cause!r}")

    def on_exit(self, server: ServerView) -> None:
        told(f"on_exit parent={is_parent(server)} workers={len(server.workers)}")


def is_parent(server: ServerView) -> bool:
    return server.pid == os.getpid()


def told(what: str) -> None:
    with open(os.environ["TOLD"], "a") as file:
        file.write(f"{what}\n")
