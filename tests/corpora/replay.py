"""Sends streams of bytes to a running server, over many connections at once, and judges what comes back.

Owns how a stream is cut and what a well-formed end of a connection is. Knows neither the streams nor the
application, but for the X-Method by which it tells the answer to a HEAD.
"""

import asyncio
import contextlib
import random
import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.wire import Recording

DEADLINE = 20.0
"""Seconds after which a connection should long have been closed by the server."""
PARALLEL = 100

ASKS_FOR_CLOSE = re.compile(rb"HTTP/1\.0|close", re.IGNORECASE)


@dataclass(frozen=True)
class Stream:
    name: str
    data: bytes


@dataclass
class Outcome:
    """What one stream led to: the responses' statuses, or None where they were lost. ``fault`` says what was wrong."""

    name: str
    statuses: list[int] | None
    fault: str = ""


def load(archive: Path) -> list[Stream]:
    """The streams of an archive, in the order of their names."""
    streams = []
    with tarfile.open(archive) as files:
        for member in files:
            file = files.extractfile(member)
            if file is not None:
                streams.append(Stream(Path(member.name).name, file.read()))
    return sorted(streams, key=lambda stream: stream.name)


Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def by_line(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def by_byte(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def at_random(seed: int) -> Cut:
    source = random.Random(seed)

    def cut(data: bytes) -> list[bytes]:
        places = sorted(source.randrange(len(data) + 1) for _ in range(source.randrange(1, 8)))
        return [data[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]

    return cut


def replay(
    address: tuple[str, int], streams: Iterable[Stream], cut: Cut = whole, *, end: bool = True
) -> list[Outcome]:
    """Each stream over a connection of its own, piece by piece. Without ``end`` the client does not say that
    nothing more will come, and the server must find out."""

    async def run() -> list[Outcome]:
        free = asyncio.Semaphore(PARALLEL)

        async def one(stream: Stream) -> Outcome:
            async with free:
                return await exchange(address, stream, cut(stream.data), end)

        return await asyncio.gather(*map(one, streams))

    return asyncio.run(run())


async def exchange(
    address: tuple[str, int], stream: Stream, pieces: list[bytes], end: bool
) -> Outcome:
    reader, writer = await asyncio.open_connection(*address)
    sending = asyncio.create_task(send(writer, pieces, end))
    try:
        async with asyncio.timeout(DEADLINE):
            received = await reader.read(-1)
    except TimeoutError:
        return Outcome(stream.name, None, "the connection was not closed")
    except ConnectionError:
        # Who asked for the close, and then sends more, may lose the answer by it.
        fault = "" if ASKS_FOR_CLOSE.search(stream.data) else "the connection was reset"
        return Outcome(stream.name, None, fault)
    finally:
        sending.cancel()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return judge(stream.name, received)


async def send(writer: asyncio.StreamWriter, pieces: list[bytes], end: bool) -> None:
    """One piece in each turn of the loop, so that the server meets them apart."""
    for piece in pieces:
        if writer.is_closing():
            return
        writer.write(piece)
        await asyncio.sleep(0)
    if end and not writer.is_closing():
        writer.write_eof()


def judge(name: str, received: bytes) -> Outcome:
    """A sequence of well-formed, complete responses, or nothing."""
    statuses: list[int] = []
    outcome = Outcome(name, statuses)
    recording = Recording(received)
    while recording:
        try:
            answer = recording.answer(method_of(recording))
        except (AssertionError, EOFError, ValueError) as error:
            outcome.fault = f"not a response: {error!r} in {received!r}"
            return outcome
        statuses.append(answer.status)
        if not answer.complete:
            outcome.fault = f"cut short: {received!r}"
    return outcome


def method_of(recording: Recording) -> str:
    return "HEAD" if "x-method: head" in recording.head().lower() else "GET"
