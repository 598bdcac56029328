"""Carries actions out: quote, hold, attempts up the ladder, each verified, settle or void, and a receipt."""
