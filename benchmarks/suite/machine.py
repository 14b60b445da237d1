"""What a result depends on besides the servers: processor, kernel, interpreter, versions."""

import os
import platform
import re
from pathlib import Path

from benchmarks.suite.process import CLIENT_CORE, CORES, SERVER_CORE
from benchmarks.suite.servers import Server


def facts(servers: tuple[Server, ...]) -> dict[str, str]:
    """Lines for the head of a report, by their subject."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores{_hypervisor()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, for all servers",
        "cores": _cores(),
        "wake-ups": "the load client polls and never sleeps; idle processors are left as they are",
        "servers": ", ".join(_versions(servers)),
    }


def _cores() -> str:
    if {SERVER_CORE, CLIENT_CORE} <= CORES:
        return f"server on core {SERVER_CORE}, load on core {CLIENT_CORE}"
    return "NOT PINNED: two cores are needed, for server and load"


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def _hypervisor() -> str:
    return " of a virtual machine" if "hypervisor" in Path("/proc/cpuinfo").read_text() else ""


def _versions(servers: tuple[Server, ...]) -> list[str]:
    versions = {server.package or server.name: server.version() for server in servers}
    return [f"{name} {version}" for name, version in versions.items()]
