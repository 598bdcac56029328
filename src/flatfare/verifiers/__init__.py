"""Verifiers: one small module per kind of check; one that has a ``KIND`` is found, and nothing lists them."""
