"""llhttp's request blocks: bytes in Markdown, and the log of what its parser makes of them.

Owns how a block and its log are read, not whether Bicorn agrees.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# What llhttp calls an error and is none of the bytes: it stops where the connection changes hands,
# and it was told to take nothing behind `Connection: close`.
_STOPS = {"5", "22", "23"}

_BLOCK = re.compile(
    r"<!-- meta=(?P<meta>\{[^\n]*\}) -->\s+```http\n(?P<bytes>.*?)^```\n"
    r"(?:(?!<!-- meta).)*?^```log\n(?P<log>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Message:
    """A message that llhttp took as complete."""

    method: str
    target: str
    body: bytes


@dataclass(frozen=True)
class Block:
    """One block. ``mode`` is how llhttp is set up for it: strict is ``request``."""

    name: str
    mode: str
    data: bytes
    messages: list[Message]
    is_error: bool


def blocks(folder: Path) -> Iterator[Block]:
    """All blocks below ``vendor/llhttp/test`` of the source distribution that are requests."""
    for file in sorted((folder / "request").glob("*.md")):
        text = file.read_text("utf-8")
        for found in _BLOCK.finditer(text):
            mode = json.loads(found["meta"])["type"]
            line = text.count("\n", 0, found.start()) + 1
            data = _decode(found["bytes"])
            messages, is_error = _read_log(found["log"], data)
            yield Block(f"{file.stem}:{line}", mode, data, messages, is_error)


def _decode(text: str) -> bytes:
    """As llhttp's own test runner does it, step by step."""
    text = text.removesuffix("\n")
    text = text.replace("\\\n", "").replace("\n", "\r\n")
    for escape, byte in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\f", "\f")):
        text = text.replace(escape, byte)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), text).encode()


def _read_log(log: str, data: bytes) -> tuple[list[Message], bool]:
    messages: list[Message] = []
    spans: dict[str, bytes] = {}
    is_error = False
    for line in log.splitlines():
        if span := re.match(r"off=(\d+) len=(\d+) span\[(\w+)\]", line):
            start, length = int(span[1]), int(span[2])
            spans[span[3]] = spans.get(span[3], b"") + data[start : start + length]
        elif line.endswith(" message begin"):
            spans = {}
        elif line.endswith(" message complete"):
            method, target = spans["method"].decode(), spans.get("url", b"").decode("latin-1")
            messages.append(Message(method, target, spans.get("body", b"")))
        elif error := re.search(r" error code=(\d+)", line):
            is_error = error[1] not in _STOPS
    return messages, is_error
