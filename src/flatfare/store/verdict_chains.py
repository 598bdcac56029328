"""Chains of verdicts in SQL: what a link covers, and where a chain does not hold.

The same links as ``core.chain`` makes, so that millions of verdicts are checked at once.
"""

from flatfare.core.chain import GENESIS
from flatfare.store.layout import VERDICT_SAYS

SAID = " || ".join(
    f"CAST(length({text}) AS VARCHAR) || ':' || {text}"
    for text in (f"coalesce(CAST({name} AS VARCHAR), '')" for name in VERDICT_SAYS)
)
"""What a verdict's hash covers: each field behind its length."""


def breaks() -> str:
    """The query for the verdicts that do not follow from the one before: task, position and verifier."""
    return f"""SELECT CAST(task_id AS VARCHAR) AS task_id, position, verifier FROM (
        SELECT task_id, position, verifier, previous_hash, hash, sha256(previous_hash || {SAID}) AS true_hash,
               lag(hash, 1, '{GENESIS}') OVER chain AS true_previous,
               row_number() OVER chain - 1 AS true_position
        FROM verdicts WINDOW chain AS (PARTITION BY task_id ORDER BY position))
    WHERE hash <> true_hash OR previous_hash <> true_previous OR position <> true_position"""


UNFOUNDED = """SELECT CAST(id AS VARCHAR) FROM tasks WHERE outcome = 'verified' AND NOT EXISTS
    (SELECT 1 FROM verdicts WHERE verdicts.task_id = tasks.id
     AND (judgement = 'pass' OR starts_with(verifier, 'signal:')))"""
"""The query for tasks that are verified and have no verdict that could have made them so."""
