"""Whether a worker still comes back to its loop: the arithmetic of heartbeats.

The engine beats in the loop that serves, at every turn and when it idles; nothing beats for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.config import Config

_SHORTEST, _LONGEST = 0.05, 0.5


def beat_interval(config: Config) -> float | None:
    """Seconds between two beats of an idle worker, and between two looks at it; None without ``hang_timeout``."""
    if not config.hang_timeout:
        return None
    return min(max(config.hang_timeout / 8, _SHORTEST), _LONGEST)


def is_hung(config: Config, silence: float) -> bool:
    """Whether a worker that last beat ``silence`` seconds ago has been blocked for ``hang_timeout``.

    It may have beaten just before the next beat was due.
    """
    interval = beat_interval(config)
    return interval is not None and silence > config.hang_timeout + interval
