"""Reservations: before a call is sent, its upper bound is held against every budget it falls under."""
