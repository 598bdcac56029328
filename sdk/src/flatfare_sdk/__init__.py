"""Says what LLM work was for and whether it got done: tasks, attempts, verdicts, signals.

It never raises into the program that it watches, and never makes it wait::

    from flatfare_sdk import task, wrap

    client = wrap(OpenAI())

    with task("contract-review", customer="acme") as t:
        answer = client.chat.completions.create(...)
        t.verdict("clauses-found", passed=check(answer), evidence=answer.id)
"""

from flatfare_sdk.context import carried
from flatfare_sdk.recorder import Status
from flatfare_sdk.recording import configure, current, flush, rework, signal, status, task, verdict
from flatfare_sdk.task import Attempt, Task
from flatfare_sdk.wrapping import headers, wrap

__version__ = "0.1.0"

__all__ = [
    "Attempt",
    "Status",
    "Task",
    "__version__",
    "carried",
    "configure",
    "current",
    "flush",
    "headers",
    "rework",
    "signal",
    "status",
    "task",
    "verdict",
    "wrap",
]
