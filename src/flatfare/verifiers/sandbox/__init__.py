"""Running a command that nobody trusts, on Linux, without containers and without being root."""
