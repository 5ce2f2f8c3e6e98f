"""Importing this loads all that a worker needs, machine code and tables too: workers are forked
from a process that has done so (`pool`).
"""

from pipelines import flink, rehearsal  # noqa: F401 - the modules of every stage of a job

rehearsal.rehearse("default", print)
