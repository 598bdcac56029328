"""Bought outcomes: what a vendor billed, held against tickets and verdicts of somebody else."""
