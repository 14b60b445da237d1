"""The file with the parent's process number, for ``--pid``.

The file is locked as long as its owner lives, so that it never has to be guessed from a number, which the kernel may
have given to another process, whether that one still runs. Removed at the end by its owner, and by nobody else.
"""

from __future__ import annotations

import contextlib
import os
import stat

from bicorn.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bicorn.log.line import LineLog

_LONGEST = 32
"""Bytes: what is longer is no pid file, and is not replaced by one."""
_MODE = 0o644


class PidFile:
    """``path`` with the number of this process in it.

    Raises `HostError` where it cannot be written, or belongs to a server that lives.
    """

    def __init__(self, path: str) -> None:
        self.path = self._given = path
        self._descriptor = -1
        self._owner = os.getpid()
        _refuse_what_is_not_ours_to_replace(path)
        self._write()

    def set_aside(self) -> None:
        """For a binary upgrade: this becomes ``FILE.oldbin``, and the new parent writes ``FILE``. Raises `OSError`."""
        self._rename(f"{self._given}.oldbin")

    def restore(self, log: LineLog) -> None:
        """The upgrade has failed: ``FILE.oldbin`` is ``FILE`` again, unless a living server has that by now."""
        if self.path == self._given or _is_locked(self._given):
            return
        try:
            self._rename(self._given)
        except OSError as error:
            log.warning(f"cannot rename the pid file {self.path}: {error.strerror}")

    def disown(self) -> None:
        """In a forked child: the file is the parent's."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self, log: LineLog) -> None:
        """Unless somebody has put another one there. Idempotent."""
        if self._descriptor < 0 or os.getpid() != self._owner:
            return
        try:
            if _identity(os.stat(self.path)) == _identity(os.fstat(self._descriptor)):
                os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            # A user without privileges, in a directory of root's. The next start sees that nobody holds it.
            log.warning(f"cannot remove the pid file {self.path}: {error.strerror}")
        self.disown()

    def _write(self) -> None:
        """Whole or not at all: nobody reads half a number."""
        draft = f"{self.path}.{self._owner}"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(draft, flags, _MODE)
            try:
                # Readable for whoever has to signal the server, whatever --umask gives its other files.
                os.fchmod(self._descriptor, _MODE)
                os.write(self._descriptor, f"{self._owner}\n".encode())
                _lock(self._descriptor)
                os.rename(draft, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                self.disown()
                raise
        except OSError as error:
            raise _cannot(self.path, error) from None

    def _rename(self, path: str) -> None:
        """Raises `OSError`."""
        os.rename(self.path, path)
        self.path = path


def _refuse_what_is_not_ours_to_replace(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot(path, error) from None
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        content = os.read(descriptor, _LONGEST + 1).strip() if is_file else b""
        if not is_file or len(content) > _LONGEST or not (content.isdigit() or content == b""):
            raise HostError(
                f"cannot write the pid file {path}: what is there is no pid file: use another --pid"
            )
        if not _can_lock(descriptor):
            raise HostError(
                f"cannot write the pid file {path}: it belongs to process {content.decode()}, a Bicorn that "
                "is running: stop that, or use another --pid"
            )
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """A lock of this process alone: forked children have none, and it goes when the process does."""
    import fcntl

    # Not every file system has locks; then nobody is refused.
    with contextlib.suppress(OSError):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _can_lock(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _is_locked(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _can_lock(descriptor)
    finally:
        os.close(descriptor)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _cannot(path: str, error: OSError) -> HostError:
    return HostError(f"cannot write the pid file {path}: {error.strerror}: use another --pid")
