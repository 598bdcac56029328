"""The rules of verifiers: text, JSON and files in, a ruling with reasons out; nothing touches the world."""
