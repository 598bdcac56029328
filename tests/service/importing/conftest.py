"""What tests of the import share."""

from tests.service.importing.bringing import place

__all__ = ["place"]
