"""The table of options. Each is declared here, once, and nowhere else.

To add one, add an attribute: its name makes the flag (``--keep-alive-timeout``) and the environment variable
(``BICORN_KEEP_ALIVE_TIMEOUT``), its kind reads and writes values, and the help, ``--check-config`` and
docs/configuration.md follow. The native core reads these attributes by name from a `Config`; sizes are bytes,
durations are seconds. Aliases are flags of Gunicorn and Uvicorn, where they mean the same.
"""

from __future__ import annotations

from bicorn.config.addresses import (
    ADDRESS_FORMS,
    DEFAULT_HOST,
    DEFAULT_PORT,
    compose_addresses,
    parse_address,
)
from bicorn.config.option import Option, Positional
from bicorn.config.values import (
    Choice,
    Duration,
    Integer,
    Octal,
    Path,
    RootPath,
    Several,
    Size,
    Switch,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Never

APPLICATION = "Application"
SERVING = "Serving"
WORKERS = "Workers"
HOST = "Host"
LOGS = "Logs"
LIMITS = "Limits"
TIMEOUTS = "Timeouts"
GROUPS = (APPLICATION, SERVING, WORKERS, HOST, LOGS, LIMITS, TIMEOUTS)

_KIB = 1 << 10
_MIB = 1 << 20
_GIB = 1 << 30
_DAY = 86400.0


class Config:
    """What the operator asked for: frozen, and every value knows where it came from.

    `bicorn.config.load` makes it; the constructor, for embedding and tests, takes values as they are and does
    not check them. Reading the configuration has no effects.
    """

    app = Positional(
        Text("APP", "module:attribute, module:factory(), module or a path to a .py file"),
        "",
        group=APPLICATION,
        help="what to serve: module:attribute, module:factory(), module or a path to a .py file",
    )
    interface = Option(
        Choice("auto", "asgi", "wsgi"),
        "auto",
        group=APPLICATION,
        help="what the application speaks; auto looks at it",
    )
    factory = Option(
        Switch(),
        False,
        group=APPLICATION,
        help="call APP without arguments to get the application",
    )
    app_dir = Option(
        Text("DIR", "a directory, from the working directory"),
        "",
        group=APPLICATION,
        help="import the application from this directory (the working directory if empty)",
    )
    chdir = Option[str | None](
        Path("DIR", existing=True),
        None,
        group=APPLICATION,
        help="change to this directory before anything is loaded",
    )
    root_path = Option(
        RootPath(),
        "",
        group=APPLICATION,
        help="the URL path that the application is mounted at (ASGI root_path, WSGI SCRIPT_NAME)",
    )
    lifespan = Option(
        Choice("auto", "on", "off"),
        "auto",
        group=APPLICATION,
        help="ASGI lifespan; auto goes on without it where the application has none",
    )

    bind = Option(
        Several(
            parse_address,
            "ADDRESS",
            ADDRESS_FORMS,
            parts=("--host", "--port", "--uds", "--fd"),
            compose=compose_addresses,
        ),
        (f"{DEFAULT_HOST}:{DEFAULT_PORT}",),
        group=SERVING,
        help=f"where to listen: {ADDRESS_FORMS}; may be repeated",
        aliases=("-b",),
    )
    workers = Option(
        Integer(1, 512),
        1,
        group=SERVING,
        help="worker processes; one for each core is a good start",
        aliases=("-w",),
    )
    loop = Option(
        Choice("auto", "asyncio", "uvloop"),
        "auto",
        group=SERVING,
        help="the event loop of ASGI applications; auto takes uvloop where it is installed",
    )
    backlog = Option(
        Integer(1, 65535),
        2048,
        group=SERVING,
        help="connections that may wait to be accepted",
    )
    wsgi_body = Option(
        Choice("buffer", "stream"),
        "buffer",
        group=SERVING,
        help="call a WSGI application when the request body is complete, or at once",
    )
    wsgi_body_memory = Option(
        Size(0, _GIB),
        256 * _KIB,
        group=SERVING,
        help="bytes of a buffered body that stay in memory; the rest goes to a temporary file",
    )
    server_header = Option(
        Switch(),
        True,
        group=SERVING,
        help="send a Server field in answers that have none",
    )
    date_header = Option(
        Switch(),
        True,
        group=SERVING,
        help="send a Date field in answers that have none",
    )

    preload = Option(
        Switch(),
        False,
        group=WORKERS,
        help="import the application once, in a process that workers are forked from",
    )
    startup_timeout = Option(
        Duration(0.1, _DAY),
        60.0,
        group=WORKERS,
        help="for a worker to become ready; then it is ended, and what served before goes on serving",
    )
    warmup_path = Option(
        Text("PATH", "a URL path that begins with /"),
        "",
        group=WORKERS,
        help="a path that a new worker asks its application for; it is ready when that answers 2xx or 3xx",
    )
    reload_surge = Option(
        Integer(1, 64),
        1,
        group=WORKERS,
        help="workers that may run beyond --workers while others are replaced",
    )
    hang_timeout = Option(
        Duration(0, _DAY),
        30.0,
        group=WORKERS,
        help="for a worker whose loop is blocked; then its stacks are logged and it is replaced; 0 is off",
        aliases=("--timeout", "-t"),
    )
    max_requests = Option(
        Integer(0, 1 << 40),
        0,
        group=WORKERS,
        help="replace a worker after about so many requests; 0 is off",
        aliases=("--limit-max-requests",),
    )
    max_requests_jitter = Option(
        Integer(0, 1 << 40),
        0,
        group=WORKERS,
        help="add up to so many to --max-requests, differently for each worker",
    )
    max_lifetime = Option(
        Duration(0, 365 * _DAY),
        0.0,
        group=WORKERS,
        help="replace a worker after this time; 0 is off",
    )
    max_lifetime_jitter = Option(
        Duration(0, 365 * _DAY),
        0.0,
        group=WORKERS,
        help="add up to so much to --max-lifetime, differently for each worker",
    )
    max_memory = Option(
        Size(0, 1 << 50),
        0,
        group=WORKERS,
        help="replace a worker that uses more memory than this, successor first; 0 is off",
    )
    max_memory_hard = Option(
        Size(0, 1 << 50),
        0,
        group=WORKERS,
        help="end a worker that uses more memory than this at once; 0 is off",
    )
    memory_measure = Option(
        Choice("rss", "pss"),
        "rss",
        group=WORKERS,
        help="what counts as a worker's memory: all that is resident, or its share of what is shared",
    )

    pid = Option[str | None](
        Path("FILE"),
        None,
        group=HOST,
        help="write the parent's process number here",
        aliases=("-p",),
    )
    user = Option(
        Text("USER", "a name or a number"),
        "",
        group=HOST,
        help="run as this user; the addresses are bound before",
        aliases=("-u",),
    )
    group = Option(
        Text("GROUP", "a name or a number"),
        "",
        group=HOST,
        help="run as this group (the user's own if empty)",
        aliases=("-g",),
    )
    umask = Option[int | None](
        Octal(0o777),
        None,
        group=HOST,
        help="mode bits that new files do not get, in octal (the shell's if empty)",
        aliases=("-m",),
    )
    unix_mode = Option[int | None](
        Octal(0o777),
        None,
        group=HOST,
        help="mode of the files of Unix sockets, in octal (as --umask leaves it if empty)",
    )
    daemon = Option(
        Switch(),
        False,
        group=HOST,
        help="go to the background once a worker serves",
        aliases=("-D",),
    )
    process_title = Option(
        Text("NAME", "a word; empty leaves the titles alone"),
        "bicorn",
        group=HOST,
        help="what process titles begin with, where setproctitle is installed",
        aliases=("-n", "--name"),
    )
    hooks = Option(
        Text("MODULE:NAME", "an object with methods such as on_reload"),
        "",
        group=HOST,
        help="an object whose methods the parent and the workers call at events of their lives",
    )

    access_log = Option(
        Switch(),
        True,
        group=LOGS,
        help="write a line for each request",
    )
    access_log_file = Option(
        Path("FILE", dash="standard output"),
        "-",
        group=LOGS,
        help="where to write these lines; - is standard output",
        aliases=("--access-logfile",),
    )
    log_level = Option(
        Choice("critical", "error", "warning", "info", "debug"),
        "info",
        group=LOGS,
        help="the least level that the error log writes",
    )

    limit_request_line = Option(
        Size(128, _MIB),
        8 * _KIB,
        group=LIMITS,
        help="longest request line; longer ones get 414",
    )
    limit_header_section = Option(
        Size(256, 16 * _MIB),
        64 * _KIB,
        group=LIMITS,
        help="largest request line and header section together; larger ones get 431",
    )
    limit_header_fields = Option(
        # The parser's table of fields is this long.
        Integer(1, 1024),
        100,
        group=LIMITS,
        help="most header fields in a request; more get 431",
        aliases=("--limit-request-fields",),
    )
    limit_body = Option(
        Size(0, 1 << 50),
        _GIB,
        group=LIMITS,
        help="largest request body; larger ones get 413",
    )
    max_connections = Option(
        Integer(0, 1 << 20),
        0,
        group=LIMITS,
        help="connections that a worker has open at most; 0 is as many as it has descriptors for",
        aliases=("--worker-connections",),
    )
    max_concurrency = Option(
        Integer(0, 1 << 20),
        0,
        group=LIMITS,
        help="requests that a worker's application has in hand at most; more wait; 0 is no limit",
        aliases=("--limit-concurrency",),
    )
    max_queue = Option(
        Integer(0, 1 << 20),
        1024,
        group=LIMITS,
        help="requests that may wait in a worker for --max-concurrency; more get 503",
    )

    header_timeout = Option(
        Duration(0.001, _DAY),
        15.0,
        group=TIMEOUTS,
        help="for a request's header section to arrive; then 408",
    )
    keep_alive_timeout = Option(
        Duration(0, _DAY),
        15.0,
        group=TIMEOUTS,
        help="between two requests on one connection; 0 closes after each answer",
        aliases=("--keep-alive", "--timeout-keep-alive"),
    )
    body_rate = Option(
        Size(0, _GIB),
        240,
        group=TIMEOUTS,
        help="bytes a second that a request body must arrive with; then 408; 0 is off",
    )
    body_rate_grace = Option(
        Duration(0, _DAY),
        15.0,
        group=TIMEOUTS,
        help="for a request body to begin before its rate counts",
    )
    write_timeout = Option(
        Duration(0.001, _DAY),
        60.0,
        group=TIMEOUTS,
        help="for a client to take any byte of its answer",
    )
    graceful_timeout = Option(
        Duration(0, _DAY),
        30.0,
        group=TIMEOUTS,
        help="for requests under way when the server stops",
        aliases=("--timeout-graceful-shutdown",),
    )
    stream_grace = Option(
        Duration(0, _DAY),
        10.0,
        group=TIMEOUTS,
        help="for answers under way when the server stops, before an ASGI application is told http.disconnect",
    )
    queue_timeout = Option(
        Duration(0.001, _DAY),
        10.0,
        group=TIMEOUTS,
        help="for a request to wait for --max-concurrency; then 503",
    )

    __slots__ = ("_origins", "_values")
    _values: dict[str, Any]
    _origins: dict[str, str]

    def __init__(self, origins: Mapping[str, str] | None = None, /, **values: object) -> None:
        unknown = values.keys() - BY_NAME.keys()
        if unknown:
            raise TypeError(f"no such option: {', '.join(sorted(unknown))}")
        merged = {option.name: values.get(option.name, option.default) for option in OPTIONS}
        sources = {name: "argument" if name in values else "default" for name in merged} | dict(
            origins or {}
        )
        object.__setattr__(self, "_values", merged)
        object.__setattr__(self, "_origins", sources)

    def origin(self, name: str) -> str:
        """Where an option's value came from: ``default``, ``env BICORN_X``, ``flag --x`` or ``argument``."""
        return self._origins[name]

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError(f"a Config is frozen: {name} cannot be set")

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, Config) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._values.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._origins, self._values)

    def __repr__(self) -> str:
        changed = (name for name in self._values if self._origins[name] != "default")
        return f"Config({', '.join(f'{name}={self._values[name]!r}' for name in changed)})"


OPTIONS: tuple[Option[Any], ...] = tuple(
    item for item in vars(Config).values() if isinstance(item, Option)
)
BY_NAME = {option.name: option for option in OPTIONS}


def _rebuild(origins: dict[str, str], values: dict[str, Any]) -> Config:
    return Config(origins, **values)
