"""What turns messages into text. One small protocol (`base`), one registry of names, one file an engine."""
