"""What a set of workers is started with: a configuration, bound sockets, and a number to tell them apart."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.config import Config
    from bicorn.supervisor.listeners import Listener


class Generation:
    """Every reload makes one; it becomes the current one when its first worker is ready."""

    __slots__ = ("config", "listeners", "number")

    def __init__(self, number: int, config: Config, listeners: list[Listener]) -> None:
        self.number = number
        self.config = config
        self.listeners = listeners


def require_for(config: Config) -> None:
    """Raises `bicorn.errors.ConfigError` where the system cannot do what the configuration asks for."""
    if config.preload:
        from bicorn.supervisor.template import require_adoption

        require_adoption()
