"""``python -m flatfare``."""

from flatfare.cli import main

main()
