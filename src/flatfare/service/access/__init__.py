"""Who may what: keys, people, credentials, and the texts that are kept for a time."""
