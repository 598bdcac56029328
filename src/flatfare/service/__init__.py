"""The verbs: each module is a short script over core values and the store."""
