"""Flatfare: the meter, the contract and the receipt for LLM work."""

__version__ = "0.1.0"
