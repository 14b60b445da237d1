"""The parent's loop, with nobody in it."""

from collections.abc import Iterator

import pytest

from bicorn.supervisor.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()
