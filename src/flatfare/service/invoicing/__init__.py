"""Invoices: what customers and teams owe for a month, as documents that never change once issued."""
