"""Proves that what `make wheel` made, or a source distribution, installs and serves by itself.

Owns the proof alone: an empty virtual environment outside the checkout, pip, the installed command,
and one request. It must not use anything of the checkout but the example that it serves.

    python tools/wheel_test.py DIRECTORY   its wheel for this Python, with no Rust toolchain on the PATH
    python tools/wheel_test.py --sdist     a source distribution made now, built by pip
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "hello_asgi.py"
TOOLCHAIN = ("cargo", "rustc", "rustup", "maturin")
ANSWER_SECONDS = 20


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="bicorn-") as name:
        directory = Path(name)
        if arguments == ["--sdist"]:
            artefact, path = make_sdist(directory), os.environ["PATH"]
        else:
            artefact, path = newest_wheel(Path(arguments[0])), path_without_toolchain()
        print(f"installing {artefact.name}, {artefact.stat().st_size / 1e6:.1f} MB", flush=True)
        environment = {**os.environ, "PATH": path}
        command = install(artefact, directory, environment)
        version = output([str(command), "--version"], directory, environment)
        answer = serve(command, directory, environment)
    print(f"{version} installs from {artefact.name} and answered {answer!r}")
    return 0


def make_sdist(directory: Path) -> Path:
    maturin = Path(sys.executable).parent / "maturin"
    subprocess.run([str(maturin), "sdist", "--out", str(directory)], cwd=ROOT, check=True)
    return next(directory.glob("bicorn-*.tar.gz"))


def newest_wheel(directory: Path) -> Path:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = sorted(directory.glob(f"bicorn-*-{tag}-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit(f"no wheel for {tag} ({sysconfig.get_platform()}) in {directory}")
    return wheels[-1].resolve()


def path_without_toolchain() -> str:
    directories = os.environ["PATH"].split(os.pathsep)
    path = os.pathsep.join(
        directory
        for directory in directories
        if not any(os.access(Path(directory) / program, os.X_OK) for program in TOOLCHAIN)
    )
    assert not any(shutil.which(program, path=path) for program in TOOLCHAIN)
    return path


def install(artefact: Path, directory: Path, environment: dict[str, str]) -> Path:
    """Installs into an empty environment, and returns the command."""
    home = directory / "venv"
    venv.create(home, with_pip=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    installing = [*pip, "install", "--quiet", str(artefact)]
    subprocess.run(installing, cwd=directory, env=environment, check=True)
    return home / "bin" / "bicorn"


def output(command: list[str], directory: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def serve(command: Path, directory: Path, environment: dict[str, str]) -> str:
    """Serves the example on a socket of ours, so that the port is known and nobody else's."""
    example = shutil.copy(EXAMPLE, directory)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()[:2]
        descriptor = listener.fileno()
        server = subprocess.Popen(
            [str(command), f"{example}:app", "--bind", f"fd://{descriptor}"],
            cwd=directory,
            env=environment,
            pass_fds=[descriptor],
        )
    try:
        return ask(host, port)
    finally:
        server.terminate()
        server.wait(ANSWER_SECONDS)


def ask(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise SystemExit(f"the server answered {response.status}: {body}")
    return body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
