"""The public API: authenticates, picks a worker, pipes bytes. It renders no prompt and parses no chunk."""
