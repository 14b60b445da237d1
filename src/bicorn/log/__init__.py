"""The error log: what Bicorn tells its operator.

    line.py     a line of the log without `logging`, for the parent, which imports little
    setup.py    Python `logging` in the same format, for the workers
    report.py   an application's exception, without our own frames

The access log is the native core's.
"""
