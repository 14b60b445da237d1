"""What the kernel says of a process, as far as /proc tells. Never blocks, and raises nothing: a process may end at
any moment, and elsewhere than on Linux there is no /proc."""

from __future__ import annotations


def state_of(pid: int) -> str:
    """The letter of proc(5): R runs, S sleeps, D sleeps where no signal reaches it, T and t are stopped, Z has
    ended. Empty where nobody can tell."""
    # The program's name stands in parentheses and may contain any character.
    _, _, fields = _text_of(pid, "stat").rpartition(")")
    return fields[1:2]


def kernel_place(pid: int) -> str:
    """Where in the kernel the process sleeps, in the kernel's words; empty where they are not for us."""
    place = _text_of(pid, "wchan").strip()
    number = _text_of(pid, "syscall").split(" ")[0].strip()
    told = [f"in {place}"] if place not in ("", "0") else []
    if number.isdigit():
        told.append(f"in system call {number}")
    return ", ".join(told)


def _text_of(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""
