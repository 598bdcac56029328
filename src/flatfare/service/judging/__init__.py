"""Judging work: by models, by people, by what customers signal; and how far each judge errs."""
