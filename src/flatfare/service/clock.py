"""The clock of this machine, which commands, pages and runs ask for the moment.

Core and store are told the moment and never ask.
"""

import time


def now_us() -> int:
    """The present moment, in microseconds since 1970."""
    return time.time_ns() // 1000
