"""What tests of outcome records share."""

from tests.service.importing.bringing import place

__all__ = ["place"]
