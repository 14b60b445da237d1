"""The child process: loads the application, serves, drains, ends.

worker.py    the life cycle
channel.py   what a worker tells its parent
report.py    what it answers when it is asked what it is doing
"""

from bicorn.worker.worker import Inheritance, serve

__all__ = ["Inheritance", "serve"]
