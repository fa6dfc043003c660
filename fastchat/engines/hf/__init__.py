"""`transformers` as an engine: every architecture it knows, on every device it knows."""
