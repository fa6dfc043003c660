"""The registry of workers. It never touches tokens."""
