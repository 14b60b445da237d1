"""The child process: loads the application, serves, drains, ends.

worker.py       the life cycle
channel.py      what a worker tells its parent
template.py     imports the application once, and forks workers that have it
unforkable.py   what an import has started that a fork does not copy
"""

from bicorn.worker.worker import Inheritance, serve

__all__ = ["Inheritance", "serve"]
