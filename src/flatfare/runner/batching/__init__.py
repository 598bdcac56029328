"""Model calls of a bulk run in batches: gathered, sent once, waited for, each answer handed back."""
