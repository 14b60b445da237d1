"""As whom the server runs: ``--user`` and ``--group``.

The parent itself gives root up, after binding and before the first worker: it must be able to signal its workers, and
nothing that lives for months should keep root. There is no way back, so a reload cannot bind a low port anew; the
sockets that are bound stay open. Knows neither sockets nor workers.
"""

from __future__ import annotations

import os
import stat

from bicorn._native import stay_inspectable
from bicorn.config.suggest import did_you_mean
from bicorn.errors import ConfigError, HostError, InternalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd

    from bicorn.config import Config


class Identity:
    """A user and a group by number; ``name`` and ``home`` are empty for a user that the machine has no entry for."""

    __slots__ = ("gid", "home", "name", "uid")

    def __init__(self, uid: int, gid: int, name: str = "", home: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.name = name
        self.home = home

    def assume(self) -> None:
        """Becomes this user and group for good. Raises `HostError` where that is not allowed."""
        try:
            # The user last: only root may do the rest. All three ids, so that none can be taken back.
            self._join_groups()
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except OSError as error:
            raise _forbidden(self, str(error.strerror)) from None
        self._prove()
        # The parent reads its workers' memory, and an operator their stacks, as if this user had started them.
        stay_inspectable()
        if self.uid != 0:
            self._move_home()

    def require_python(self) -> None:
        """After `assume`: workers are going to import. Raises `HostError` where this user cannot."""
        library = os.path.dirname(os.__file__)
        if not os.access(os.__file__, os.R_OK):
            raise HostError(
                f"user {self.name or self.uid} cannot read {library}, where this Python is installed: "
                "use a Python that it can read"
            )

    def _join_groups(self) -> None:
        if self.name:
            os.initgroups(self.name, self.gid)
        else:
            os.setgroups([self.gid])

    def _prove(self) -> None:
        """That there is no way back. Capabilities that were kept on purpose would open one."""
        if not self.is_assumed():
            raise InternalError(f"user and group are not {self.uid} and {self.gid} everywhere")
        if self.uid == 0:
            return
        try:
            os.setuid(0)
        except PermissionError:
            return
        raise HostError(
            f"user {self.name or self.uid} could become root again: start without the capability CAP_SETUID"
        )

    def is_assumed(self) -> bool:
        """Whether this process is that user and group already, and has nothing to go back to."""
        return os.getresuid() == (self.uid,) * 3 and os.getresgid() == (self.gid,) * 3

    def _move_home(self) -> None:
        """As a login does it: libraries look for their files in the home directory."""
        if self.name:
            os.environ.update(HOME=self.home, USER=self.name, LOGNAME=self.name)


def resolve(config: Config) -> Identity | None:
    """Who ``--user`` and ``--group`` are; None where that is whom this process is. Raises `ConfigError`, and
    `HostError` where it cannot become them."""
    if not config.user and not config.group:
        return None
    identity = _named(config)
    if os.geteuid() == 0:
        return identity
    if identity.is_assumed():
        return None
    raise _forbidden(identity, "only root can")


def _forbidden(identity: Identity, reason: str) -> HostError:
    return HostError(
        f"cannot become user {identity.name or identity.uid}, group {identity.gid}: {reason}: "
        "start as root, or leave --user and --group out"
    )


def _named(config: Config) -> Identity:
    if not config.user:
        return Identity(os.geteuid(), _gid(config.group))
    entry = _user(config.user)
    if entry is not None:
        gid = _gid(config.group) if config.group else entry.pw_gid
        return Identity(entry.pw_uid, gid, entry.pw_name, entry.pw_dir)
    if not config.group:
        # It must not stay in root's.
        raise ConfigError(
            f"--user {config.user} is a number that this machine has no name for, and so no group: add --group"
        )
    return Identity(_number(config.user), _gid(config.group))


def give_log(path: str, identity: Identity) -> None:
    """Makes a log file that is not there yet, as the user who will write it: its directory may be root's.

    A file that is there keeps its owner. Raises `HostError`.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileExistsError:
        return
    except OSError as error:
        raise HostError(f"cannot make the log file {path}: {error.strerror}") from None
    try:
        # Whoever may write to the directory could have put another file there, but not under our descriptor.
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchown(descriptor, identity.uid, identity.gid)
    except PermissionError:
        # Not root: it is ours, and so is what we become.
        return
    finally:
        os.close(descriptor)


def _user(text: str) -> pwd.struct_passwd | None:
    """Its entry; None for a number without one."""
    import pwd

    try:
        return pwd.getpwuid(_number(text)) if text.isdigit() else pwd.getpwnam(text)
    except (KeyError, OverflowError):
        if text.isdigit():
            return None
        names = (entry.pw_name for entry in pwd.getpwall())
        raise ConfigError(
            f"--user {text} is no user of this machine: {did_you_mean(text, names, 'use a name or a number')}"
        ) from None


def _gid(text: str) -> int:
    import grp

    try:
        return _number(text) if text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError:
        names = (entry.gr_name for entry in grp.getgrall())
        raise ConfigError(
            f"--group {text} is no group of this machine: {did_you_mean(text, names, 'use a name or a number')}"
        ) from None


_HIGHEST = 2**32 - 2
"""The one above means "unchanged" to the kernel."""


def _number(text: str) -> int:
    number = int(text[:20]) if text.isascii() else _HIGHEST + 1
    if number > _HIGHEST:
        raise ConfigError(f"{text} is no number of a user or a group: use one up to {_HIGHEST}")
    return number
