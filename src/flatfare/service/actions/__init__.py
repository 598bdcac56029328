"""Actions: read from a file, checked, published once and for all, compared and quoted."""
