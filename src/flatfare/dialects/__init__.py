"""One small module per provider wire format: where usage stands in a body and in a stream."""
