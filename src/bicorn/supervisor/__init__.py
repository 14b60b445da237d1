"""The parent process: binds, forks, watches and ends the workers.

    listeners.py    addresses become sockets, or one clear line
    holder.py       which process holds an address that is in use
    handle.py       what the parent knows of one worker
    slot.py         a worker's place, and when the next one may start there
    channel.py      what a worker tells its parent
    signals.py      signals become events of a loop
    supervisor.py   the loop

Imports no application and speaks no HTTP: nothing that a worker or a client does can bring it down.
"""

from bicorn.supervisor.supervisor import run

__all__ = ["run"]
