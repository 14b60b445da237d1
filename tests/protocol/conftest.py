"""What the protocol tests share: an engine to talk to, and the source distributions that hold the cases."""

import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bicorn.config import Config
from tests.protocol.echo import Served, serving_here

PINS = Path(__file__).with_name("sdists.txt")
DOWNLOAD_TIMEOUT = 240.0


@pytest.fixture
def served() -> Iterator[Served]:
    """An engine with the default limits."""
    with serving_here(Config(app="echo", access_log=False)) as running:
        yield running


@pytest.fixture
def sdist(pytestconfig: pytest.Config) -> Callable[[str], Path]:
    """Unpacks a source distribution that sdists.txt pins, from PyPI once and from then on from the cache."""
    return lambda name: _unpacked(name, pytestconfig.cache)


def _unpacked(name: str, cache: "pytest.Cache | None") -> Path:
    pins = PINS.read_text().splitlines()
    pin = next(line for line in pins if line.startswith(f"{name}=="))
    folder_name = pin.split()[0].replace("==", "-")
    assert cache is not None
    folder = cache.mkdir("sdists")
    archive = folder / f"{folder_name}.tar.gz"
    if not archive.exists():
        _download(pin, folder)
    unpacked = folder / folder_name
    if not unpacked.exists():
        with tarfile.open(archive) as members:
            members.extractall(folder, filter="data")
    return unpacked


def _download(pin: str, folder: Path) -> None:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"--no-binary :all:\n{pin}\n")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    download = subprocess.run(
        [*command, "--no-deps", "--require-hashes", "-r", str(wanted), "--dest", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_TIMEOUT,
    )
    if download.returncode != 0:
        last = (download.stderr.strip().splitlines() or ["pip failed"])[-1]
        pytest.skip(f"SKIPPED: {pin.split()[0]} cannot be had from the package index: {last}")
