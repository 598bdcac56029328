"""What tests of bought outcomes share."""

from tests.service.importing.bringing import place

__all__ = ["place"]
