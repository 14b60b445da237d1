"""Who the server becomes, and that there is no way back."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from bicorn.config import Config
from bicorn.errors import ConfigError, HostError
from bicorn.supervisor.identity import resolve

NOBODY = pwd.getpwnam("nobody")
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")


def run(code: str) -> "subprocess.CompletedProcess[str]":
    """Code in a process of its own: what it gives up is gone."""
    # Imported before: the new user may not be able to read the directory of this Python.
    start = "import difflib, grp, os, pwd\nfrom bicorn.config import Config\nfrom bicorn.supervisor import identity\n"
    return subprocess.run(
        [sys.executable, "-c", start + code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_neither_is_given() -> None:
    assert resolve(Config()) is None


@needs_root
@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test_a_name_and_a_number_mean_the_same(user: str) -> None:
    found = resolve(Config(user=user))
    assert found is not None
    assert (found.uid, found.gid, found.name) == (NOBODY.pw_uid, NOBODY.pw_gid, "nobody")


@needs_root
def test_a_group_of_its_own() -> None:
    found = resolve(Config(user="nobody", group="daemon"))
    assert found is not None
    assert (found.uid, found.gid) == (NOBODY.pw_uid, 1)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"user": "nobodyy"}, "--user nobodyy is no user of this machine: did you mean nobody"),
        ({"user": "qqqqqqq"}, "--user qqqqqqq is no user of this machine: use a name or a number"),
        ({"group": "daemonn"}, "--group daemonn is no group of this machine: did you mean daemon"),
        ({"user": "4000000"}, "--user 4000000 is a number .* and so no group: add --group"),
        ({"user": "4294967295", "group": "1"}, "4294967295 is no number of a user or a group"),
        ({"group": "9" * 30}, "is no number of a user or a group"),
    ],
)
def test_who_is_nobody_here(values: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        resolve(Config(**values))


@needs_root
def test_all_of_root_is_given_up() -> None:
    done = run(
        "identity.resolve(Config(user='nobody', group='daemon')).assume()\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['HOME'])\n"
        "print([line for line in open('/proc/self/status') if line.startswith('CapEff')])\n"
        "for back in (os.setuid, os.seteuid, os.setgid, os.setegid):\n"
        "    try:\n"
        "        back(0)\n"
        "    except PermissionError:\n"
        "        print('refused')\n"
    )
    uid = NOBODY.pw_uid
    assert done.stderr == ""
    ids, capabilities, *back = done.stdout.splitlines()
    groups = sorted({1, *os.getgrouplist("nobody", 1)})
    assert ids == f"{(uid,) * 3} (1, 1, 1) {groups} {NOBODY.pw_dir}"
    assert capabilities == "['CapEff:\\t0000000000000000\\n']"
    assert back == ["refused"] * 4


@needs_root
def test_the_process_can_still_be_looked_at() -> None:
    # The parent measures its workers' memory there.
    done = run(
        "identity.resolve(Config(user='nobody')).assume()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    with open(f'/proc/{os.getppid()}/smaps_rollup') as rollup:\n"
        "        print('Pss' in rollup.read())\n"
        "else:\n"
        "    os.waitpid(child, 0)\n"
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@needs_root
def test_who_is_not_root_can_become_nobody_else() -> None:
    done = run(
        "identity.resolve(Config(user='nobody')).assume()\n"
        "assert identity.resolve(Config(user='nobody')) is None\n"
        "try:\n"
        "    identity.resolve(Config(user='daemon'))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    assert done.stdout == (
        "HostError cannot become user daemon, group 1: only root can: "
        "start as root, or leave --user and --group out\n"
    )


@pytest.mark.skipif(IS_ROOT, reason="root can")
def test_only_root_can() -> None:
    with pytest.raises(HostError, match="only root can"):
        resolve(Config(user="root"))


@needs_root
def test_a_log_file_is_made_for_its_writer(tmp_path: Path) -> None:
    new, old = tmp_path / "new.log", tmp_path / "old.log"
    old.write_text("kept\n")
    done = run(
        "nobody = identity.resolve(Config(user='nobody'))\n"
        f"identity.give_log({str(new)!r}, nobody)\n"
        f"identity.give_log({str(old)!r}, nobody)\n"
    )
    assert done.stderr == ""
    assert new.stat().st_uid == NOBODY.pw_uid
    assert (old.stat().st_uid, old.read_text()) == (0, "kept\n")
