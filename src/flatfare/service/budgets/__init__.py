"""Budgets and guards: agreed, applied from a file, and the bound of a call that is held against them."""
