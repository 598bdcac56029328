"""Tasks: told of, judged by the definition in force, and their whole story told again."""
