"""Bytes through, meter beside: what forwards a call, and what keeps it from being lost."""
