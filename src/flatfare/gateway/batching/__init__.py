"""Batches at the gateway: held against budgets when they are sent, each answer a call of its own."""
