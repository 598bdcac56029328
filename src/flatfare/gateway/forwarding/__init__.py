"""A call on its way, in three parts of which each knows only those before it: record, answer, request."""
