"""llhttp's request blocks against a running Bicorn: read as its strict mode reads them, refused where it refuses.

Owns the table of where we differ on purpose. What llhttp takes in one of its lenient modes is to be refused.
Each difference has its reason, and one that is not there any more fails.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.protocol.echo import Answer, Served
from tests.protocol.gunicorn_cases import with_host
from tests.protocol.llhttp_blocks import Block, Message, blocks

BLOCKS = 166

CODINGS = (
    "chunked is the one transfer coding that is implemented: RFC 9112 section 6.1 asks for 501"
)
CONNECT = "there is no tunnel to give: RFC 9110 section 9.3.6"
OTHER_PROTOCOL = "only HTTP is spoken here"
ANY_METHOD = "any token is a method: RFC 9110 section 9.1"

# The status of our last answer (None: the connection ends without one), and why.
DEVIATIONS: dict[str, tuple[int | None, str]] = {
    # Read there in strict mode.
    "connection:158": (400, "one empty line before a request is ignored, not two: RFC 9112 2.2"),
    "content-length:446": (None, "that test tells llhttp to skip a body that its bytes announce"),
    "method:29": (501, CONNECT),
    "method:64": (501, CONNECT),
    "method:98": (501, CONNECT),
    "method:137": (400, "the asterisk form is for OPTIONS alone: RFC 9112 section 3.2.4"),
    "method:374": (400, OTHER_PROTOCOL),
    "method:404": (400, OTHER_PROTOCOL),
    "method:432": (400, OTHER_PROTOCOL),
    "method:460": (400, OTHER_PROTOCOL),
    "sample:316": (400, "HTTP/0.9 has no version to answer in: RFC 9112 section 3"),
    "transfer-encoding:753": (501, CODINGS),
    "transfer-encoding:795": (501, CODINGS),
    "uri:167": (400, "a fragment is no part of a request target: RFC 9112 section 3.2"),
    "uri:190": (501, CONNECT),
    "uri:224": (400, "user information hides which host is meant: RFC 9110 section 4.2.4"),
    # Refused there, or read in a lenient mode alone.
    "connection:112": (
        200,
        "that mode reads on behind HTTP/1.0; the connection is closed, as it must",
    ),
    "connection:396": (
        200,
        "that mode reads on behind `close`; the connection is closed, as it must",
    ),
    "invalid:68": (200, ANY_METHOD),
    "invalid:358": (200, ANY_METHOD),
    "transfer-encoding:330": (200, "an extension without a name is dropped as any other is"),
}


@pytest.mark.timeout(300)
def test_blocks_are_read_as_llhttp_reads_them(
    served: Served, sdist: Callable[[str], Path], subtests: pytest.Subtests
) -> None:
    known = list(blocks(sdist("aiohttp") / "vendor" / "llhttp" / "test"))
    assert len(known) == BLOCKS
    assert DEVIATIONS.keys() <= {block.name for block in known}
    for block in known:
        with subtests.test(block=block.name):
            judge(block, served.exchange([with_host(block.data)]))
    assert served.errors == []


def judge(block: Block, answers: list[Answer]) -> None:
    is_to_be_refused = block.is_error or block.mode.startswith("request-lenient")
    agrees = is_refused(answers) if is_to_be_refused else is_alike(block, answers)
    if block.name not in DEVIATIONS:
        assert agrees, answers
        return
    status, _reason = DEVIATIONS[block.name]
    assert not agrees, "this deviation is gone: take it out of the table"
    assert (answers[-1].status if answers else None) == status


def is_alike(block: Block, answers: list[Answer]) -> bool:
    """Whether each complete message was answered, as the request that llhttp made of it, and no other."""
    if len(answers) != len(block.messages):
        return False
    return all(
        answer.status == 200
        and (message.method == "HEAD" or message_of(answer) == resolved(message))
        for answer, message in zip(answers, block.messages, strict=True)
    )


def is_refused(answers: list[Answer]) -> bool:
    """Whether it ended in a refusal, or without an answer where the peer left in the middle."""
    return not answers or answers[-1].status >= 400


def message_of(answer: Answer) -> Message | None:
    echo = answer.echo
    if echo is None:
        return None
    return Message(echo.method, echo.path + (f"?{echo.query}" if echo.query else ""), echo.body)


def resolved(message: Message) -> Message:
    """The same with what an application sees of an absolute form: its path, never empty, and its query."""
    if message.method == "CONNECT" or "://" not in message.target:
        return message
    rest = re.sub(r"^https?://[^/?]*", "", message.target, flags=re.IGNORECASE)
    return Message(message.method, rest if rest.startswith("/") else f"/{rest}", message.body)
