"""An ASGI application that does wrong what the path names."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from misbehaviour import exception, recurse

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[object], Awaitable[None]]

START: Message = {"type": "http.response.start", "status": 200}
MORE: Message = {"type": "http.response.body", "body": b"abc", "more_body": True}
END: Message = {"type": "http.response.body"}


def start(*headers: tuple[Any, Any]) -> Message:
    return {**START, "headers": headers}


def length(value: bytes) -> Message:
    return start((b"content-length", value))


WHOLE: Message = {"type": "http.response.body", "body": b"abc"}
SENT: dict[str, list[object]] = {
    "fine": [START, WHOLE],
    "nothing": [],
    "start-only": [START],
    "unfinished": [START, MORE],
    "body-before-start": [WHOLE],
    "start-twice": [START, START],
    "start-in-body": [START, MORE, START],
    "body-after-end": [START, WHOLE, WHOLE],
    "start-after-end": [START, WHOLE, START],
    "unknown-message": [{"type": "http.response.dance"}],
    "unknown-message-in-body": [START, MORE, {"type": "http.response.dance"}],
    "message-of-none": [None],
    "message-without-type": [{"status": 200}],
    "too-long": [length(b"2"), WHOLE],
    "too-short": [length(b"9"), WHOLE],
    "too-long-in-pieces": [length(b"4"), MORE, MORE],
    "too-short-in-pieces": [length(b"9"), MORE, END],
    "crlf-in-header": [start((b"a", b"b\r\nc: d")), WHOLE],
    "crlf-in-name": [start((b"a\r\nb", b"c")), WHOLE],
    "header-of-wrong-type": [start(("a", "b")), WHOLE],
    "header-name-beyond-ascii": [start((b"\xff", b"a")), WHOLE],
    "header-value-beyond-ascii": [start((b"a", b"\xff")), WHOLE],
    "length-no-number": [length(b"abc"), WHOLE],
    "status-too-small": [{**START, "status": 99}, WHOLE],
    "status-too-large": [{**START, "status": 1000}, WHOLE],
    "status-informational": [{**START, "status": 100}, WHOLE],
    "status-of-wrong-type": [{**START, "status": "200"}, WHOLE],
    "body-of-str": [START, {**WHOLE, "body": "abc"}],
    "body-of-list": [START, {**WHOLE, "body": ["abc"]}],
    "body-of-str-in-body": [START, MORE, {**WHOLE, "body": "abc"}],
    "huge-header": [start((b"a", b"b" * 1_000_000)), WHOLE],
    "many-headers": [start(*((b"a%d" % n, b"b") for n in range(10_000))), WHOLE],
}


def app(scope: Message, receive: Receive, send: Send) -> object:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    name = scope["path"].removeprefix("/")
    stage, _, kind = name.partition(".")
    if stage == "when-called":
        raise exception(kind)
    if name in RETURNED:
        return RETURNED[name]()
    if kind:
        return raising(send, stage, kind)
    if name in SENT:
        return sending(send, SENT[name])
    return OTHER[name](receive, send)


async def sending(send: Send, messages: list[object]) -> None:
    for message in messages:
        await send(message)


async def raising(send: Send, stage: str, kind: str) -> None:
    stages: dict[str, list[object]] = {
        "at-once": [],
        "after-start": [START],
        "in-body": [START, MORE],
        "after-end": [START, WHOLE],
    }
    await sending(send, stages[stage])
    if stage == "in-body":
        # What was sent is on its way before the exception.
        await asyncio.sleep(0)
    raise exception(kind)


async def cancels_itself(receive: Receive, send: Send) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def cancels_itself_in_body(receive: Receive, send: Send) -> None:
    await sending(send, [START, MORE])
    await cancels_itself(receive, send)


async def recurses(receive: Receive, send: Send) -> None:
    recurse()


async def never_reads(receive: Receive, send: Send) -> None:
    await sending(send, [START, WHOLE])


async def goes_on_after_the_end(receive: Receive, send: Send) -> None:
    await sending(send, [START, WHOLE])
    for _ in range(3):
        await asyncio.sleep(0)


async def leaves_a_task_behind(receive: Receive, send: Send) -> None:
    async def later() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        try:
            await sending(send, [START, WHOLE])
        except (OSError, RuntimeError):
            return

    LEFT.append(asyncio.create_task(later()))


async def ignores_contract_errors(receive: Receive, send: Send) -> None:
    for message in (WHOLE, None, {**START, "status": 5}, START, START, WHOLE):
        try:
            await send(message)
        except RuntimeError:
            continue


async def goes_on_without_client(receive: Receive, send: Send) -> None:
    """Takes no notice of a client that left."""
    await send(START)
    failed = 0
    while failed < 100:
        try:
            await send({**MORE, "body": b"x" * 65536})
        except OSError:
            failed += 1
        await asyncio.sleep(0)
    print("went on without client", flush=True)


async def generator() -> Any:
    yield b"abc"


class BrokenAwaitable:
    def __await__(self) -> Any:
        raise LookupError("on purpose")


class YieldsNonsense:
    """Hands the loop something to wait for that nobody can wait for."""

    def __await__(self) -> Any:
        yield "nonsense"


LEFT: list[asyncio.Task[None]] = []
OTHER: dict[str, Callable[[Receive, Send], object]] = {
    "cancels-itself": cancels_itself,
    "cancels-itself-in-body": cancels_itself_in_body,
    "recurses": recurses,
    "never-reads": never_reads,
    "goes-on-after-the-end": goes_on_after_the_end,
    "leaves-a-task-behind": leaves_a_task_behind,
    "ignores-contract-errors": ignores_contract_errors,
    "goes-on-without-client": goes_on_without_client,
}
RETURNED: dict[str, Callable[[], object]] = {
    "returns-none": lambda: None,
    "returns-str": lambda: "abc",
    "returns-list": lambda: [b"abc"],
    "returns-generator": generator,
    "returns-broken-iterable": BrokenAwaitable,
    "returns-nonsense": YieldsNonsense,
}
