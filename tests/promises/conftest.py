"""Faults are applied on purpose, one at a time: collecting the tests must import none of them."""

collect_ignore = ["faults", "applied_fault.py"]
