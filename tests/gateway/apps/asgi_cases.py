"""An ASGI application for the tests of the ASGI gateway: a path for each of its promises.

What a test has to know of an application's inside is printed, since the answer may not reach anyone.
"""

import asyncio
import contextlib
import contextvars
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio

from bicorn.errors import ContractError

Message = dict[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

MEGABYTE = 1_000_000
SUSPENDED_AFTER = 0.3
released = asyncio.Event()
request_mark: contextvars.ContextVar[str] = contextvars.ContextVar("request_mark", default="none")
START: Message = {"type": "http.response.start", "status": 200}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    await ROUTES[scope["path"]](scope, receive, send)
    return None


def say(*words: object) -> None:
    print(*words, flush=True)


async def answer(send: Send, value: object) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    await send(START)
    await send({"type": "http.response.body", "body": body})


async def messages(receive: Receive) -> AsyncIterator[Message]:
    """Up to the last message of the body, or the disconnect."""
    while True:
        message = await receive()
        yield message
        if not message.get("more_body"):
            return


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"].update(shared=["from start-up"], count=0)
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await send({"type": "lifespan.shutdown.complete"})


async def scope_facts(scope: Message, receive: Receive, send: Send) -> None:
    def shown(value: object) -> object:
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items()}
        if isinstance(value, bytes):
            return {"bytes": value.decode("latin-1")}
        if isinstance(value, list | tuple):
            return [shown(item) for item in value]
        return value

    kinds = {key: type(value).__name__ for key, value in scope.items()}
    kinds["headers' items"] = "/".join(sorted({type(pair).__name__ for pair in scope["headers"]}))
    await answer(send, {"scope": shown(scope), "kinds": kinds})


async def state(scope: Message, receive: Receive, send: Send) -> None:
    """A shallow copy: what is set in one request is gone in the next, what is changed within is not."""
    scope["state"]["count"] += 1
    scope["state"]["shared"].append("a request")
    await answer(send, [scope["state"]["count"], len(scope["state"]["shared"])])


async def upload(scope: Message, receive: Receive, send: Send) -> None:
    sizes = [len(message["body"]) async for message in messages(receive)]
    await answer(send, {"total": sum(sizes), "largest": max(sizes)})


async def held_upload(scope: Message, receive: Receive, send: Send) -> None:
    say("holding")
    await released.wait()
    released.clear()
    await upload(scope, receive, send)


async def release(scope: Message, receive: Receive, send: Send) -> None:
    released.set()
    await answer(send, b"released")


async def download(scope: Message, receive: Receive, send: Send) -> None:
    """So many megabytes; says how far it was when it was first suspended for long."""
    block, is_suspended = b"x" * 100_000, False
    await send(START)
    for number in range(int(scope["query_string"]) * MEGABYTE // len(block)):
        sending = asyncio.ensure_future(
            send({"type": "http.response.body", "body": block, "more_body": True})
        )
        if not is_suspended:
            await asyncio.wait([sending], timeout=SUSPENDED_AFTER)
            if not sending.done():
                is_suspended = True
                say("suspended at", number * len(block))
        await sending
    await send({"type": "http.response.body"})


async def both_ways(scope: Message, receive: Receive, send: Send) -> None:
    await send(START)
    async for message in messages(receive):
        body = message["body"].upper()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def until_disconnect(scope: Message, receive: Receive, send: Send) -> None:
    """Says which messages came, and what `send` made of the disconnect."""
    kinds = [message["type"] async for message in messages(receive)]
    say("waiting")
    kinds.append((await receive())["type"])
    kinds.append((await receive())["type"])
    say("got", *kinds)
    for message in (START, {"type": "http.response.body"}):
        try:
            await send(message)
        except OSError as error:
            say("sending raised", type(error).__name__)
        else:
            say("sending went well")


async def until_send_fails(scope: Message, receive: Receive, send: Send) -> None:
    await send(START)
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
    except OSError as error:
        say("streaming raised", type(error).__name__)
    with contextlib.suppress(OSError):
        await send({"type": "http.response.body"})


async def wait_beside(scope: Message, receive: Receive, send: Send) -> None:
    """A receive() that waits when the response becomes complete ends, with a disconnect."""
    assert not (await receive())["more_body"]
    waiting = asyncio.ensure_future(receive())
    await asyncio.sleep(0)
    await answer(send, b"done")
    say("beside:", (await waiting)["type"])
    say("afterwards:", (await receive())["type"])


async def cancelled_receives(scope: Message, receive: Receive, send: Send) -> None:
    """Every way to be cancelled while receiving; no byte of the body may be lost."""
    body = b""
    for attempt in range(40):
        message: Message | None = None
        if attempt == 20:
            say("cancelled twenty")
        try:
            match attempt % 4:
                case 0:
                    message = await asyncio.wait_for(receive(), 0)
                case 1:
                    task = asyncio.ensure_future(receive())
                    task.cancel()
                    message = await task
                case 2:
                    task = asyncio.create_task(receive())
                    await asyncio.sleep(0.001)
                    task.cancel()
                    message = await task
                case _:
                    with anyio.move_on_after(0.001):
                        message = await receive()
        except (TimeoutError, asyncio.CancelledError):
            continue
        if message is not None:
            body += message["body"]
            if not message["more_body"]:
                return await answer(send, body)
    async for message in messages(receive):
        body += message["body"]
    return await answer(send, body)


async def many_waits(scope: Message, receive: Receive, send: Send) -> None:
    """What a framework does that asks again and again whether the client is still there."""
    await receive()
    for _ in range(int(scope["query_string"])):
        with anyio.CancelScope() as cancelling:
            cancelling.cancel()
            await receive()
    await answer(send, b"still there")


async def wrapped(scope: Message, receive: Receive, send: Send) -> None:
    """receive() and send() as tasks, in gather, in wait_for and in anyio's task group."""
    first, none = await asyncio.gather(receive(), send(START))
    assert none is None
    more = {"type": "http.response.body", "more_body": True}
    parts = [{**more, "body": bytes([65 + at])} for at in range(5)]
    await asyncio.create_task(send(parts[0]))
    await asyncio.ensure_future(send(parts[1]))
    await asyncio.wait_for(send(parts[2]), 5)
    async with anyio.create_task_group() as group:
        group.start_soon(send, parts[3])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send(parts[4]))
    await send({"type": "http.response.body", "body": first["body"]})


async def two_receives(scope: Message, receive: Receive, send: Send) -> None:
    pair = [asyncio.create_task(receive()) for _ in range(2)]
    first, other = await asyncio.wait(pair, return_when=asyncio.FIRST_COMPLETED)
    say("one of two has", len(first))
    got = [await first.pop(), await other.pop()]
    while got[-1]["more_body"]:
        got.append(await receive())
    await answer(send, b"".join(message["body"] for message in got))


async def contexts(scope: Message, receive: Receive, send: Send) -> None:
    """What a request sets in its context is its own."""
    before = request_mark.get()
    request_mark.set("set by a request")
    task = asyncio.current_task()
    assert task is not None
    assert task in asyncio.all_tasks()
    await asyncio.sleep(0)
    await answer(send, [before, request_mark.get(), asyncio.current_task() is task])


async def gathered(scope: Message, receive: Receive, send: Send) -> None:
    """Chunks without suspending in between."""
    await send(START)
    for number in range(5):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body"})


async def gathered_then_held(scope: Message, receive: Receive, send: Send) -> None:
    """Chunks, and then a wait that only the client's next request ends."""
    await send(START)
    for number in range(5):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await released.wait()
    released.clear()
    await send({"type": "http.response.body"})


async def whole(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, b"x" * int(scope["query_string"]))


async def after_a_while(scope: Message, receive: Receive, send: Send) -> None:
    """Answers outside of the turn that brought the request."""
    await asyncio.sleep(0.01)
    await answer(send, b"x" * 1000)


async def contract(scope: Message, receive: Receive, send: Send) -> None:
    """Sends what is asked for, and answers with the exception that it met."""
    wrong: dict[str, list[object]] = {
        "no type": [{}],
        "type no str": [{"type": 5}],
        "unknown type": [{"type": "http.response.push"}],
        "websocket type": [{"type": "websocket.accept"}],
        "no dict": [b"bytes"],
        "None": [None],
        "body first": [{"type": "http.response.body"}],
        "no status": [{"type": "http.response.start"}],
        "status no int": [{**START, "status": "200"}],
        "informational status": [{**START, "status": 103}],
        "status too large": [{**START, "status": 1000}],
        "negative status": [{**START, "status": -1}],
        "headers no iterable": [{**START, "headers": 5}],
        "header no pair": [{**START, "headers": [(b"a",)]}],
        "header of str": [{**START, "headers": [("a", "b")]}],
        "name no token": [{**START, "headers": [(b"a b", b"c")]}],
        "empty name": [{**START, "headers": [(b"", b"c")]}],
        "colon in a name": [{**START, "headers": [(b"a:", b"c")]}],
        "CRLF in a name": [{**START, "headers": [(b"a\r\nb", b"c")]}],
        "CRLF in a value": [{**START, "headers": [(b"a", b"b\r\nc: d")]}],
        "LF in a value": [{**START, "headers": [(b"a", b"b\nc")]}],
        "NUL in a value": [{**START, "headers": [(b"a", b"b\0c")]}],
        "length no number": [{**START, "headers": [(b"content-length", b"five")]}],
        "two lengths": [
            {**START, "headers": [(b"content-length", b"5"), (b"content-length", b"6")]}
        ],
        "start twice": [START, START],
        "body of str": [START, {"type": "http.response.body", "body": "str"}],
        "body None": [START, {"type": "http.response.body", "body": None}],
    }
    *right, last = wrong[scope["query_string"].decode().replace("+", " ")]
    for message in right:
        await send(message)  # type: ignore[arg-type]
    try:
        await send(last)  # type: ignore[arg-type]
    except ContractError as error:
        told = f"{error}".encode()
    else:
        told = b"nothing"
    if not right:
        await send(START)
    await send({"type": "http.response.body", "body": told})


async def other_bytes(scope: Message, receive: Receive, send: Send) -> None:
    """Types that are not exactly those of the specification, and mean the same."""
    headers = iter([[bytearray(b"x-a"), memoryview(b"b")], (b"x-c", b"d")])
    await send({**START, "headers": headers})
    for body in (bytearray(b"one"), memoryview(b"two")):
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})


async def raw_path_error(scope: Message, receive: Receive, send: Send) -> None:
    raise LookupError("on purpose")


async def loop(scope: Message, receive: Receive, send: Send) -> None:
    await answer(send, [type(asyncio.get_running_loop()).__module__, sys.version_info[:2]])


ROUTES: dict[str, Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]] = {
    f"/{name.replace('_', '-')}": globals()[name]
    for name in (
        "after_a_while", "both_ways", "cancelled_receives", "contexts", "contract", "download", "gathered",
        "gathered_then_held", "held_upload", "loop", "many_waits", "other_bytes", "release", "scope_facts",
        "state", "two_receives", "until_disconnect", "until_send_fails", "upload", "wait_beside", "whole",
        "wrapped",
    )
}  # fmt: skip
ROUTES["/a\nb"] = raw_path_error
