"""Guards at the gateway: what a call says of itself, how far its subjects have gone, what follows."""
