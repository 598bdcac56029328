"""Values and rules of the trade: money, usage, cost, tasks, verdicts, outcomes.

Standard library only; no clock, no input or output, no logging: the moment and
the id are arguments.
"""
