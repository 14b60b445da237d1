"""The parent process: binds, forks, watches and ends the workers.

    entry.py        from a configuration to a parent that serves
    supervisor.py   the state, and what each signal means
    loop.py         descriptors and timers to wait for
    signals.py      signals become events of the loop
    generation.py   what a set of workers is started with
    roster.py       who serves, and the one operation by which a worker is followed by another
    place.py        a worker's place, and when the next one may start there
    handle.py       what the parent knows of one worker
    channel.py      what a worker tells its parent
    spawning.py     from a place to a process
    template.py     a process that workers are forked from; templates.py says which generation has which
    ending.py       how a worker is ended
    care.py         looking after workers that serve; health.py, recycling.py, memory.py say when to act
    deaths.py       why a process ended, in words; failures.py, why one could not start
    witness.py      a worker that can be asked; inquiry.py asks it, stacks.py reads the answer, report.py words it
    reporting.py    what the log and the operator are told; status.py, dump.py
    door.py         where the operator asks
    upgrade.py      another parent that takes over
    host.py         what the server takes from its machine, and in which order
    listeners.py    addresses become sockets, or one clear line
    activation.py   sockets that a service manager hands over
    identity.py     as whom the server runs
    pidfile.py      the file with the parent's process number
    daemon.py       the way to the background
    notify.py       what a service manager is told
    herald.py       what the world outside is told: service manager, hooks, titles, the waiting command
    holder.py       which process holds an address that is in use

Imports no application and speaks no HTTP: nothing that a worker or a client does can bring it down.
"""

from bicorn.supervisor.entry import run

__all__ = ["run"]
