"""The only SQL of the product: the transactional book, and the sealed lake beside it."""
