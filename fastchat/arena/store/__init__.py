"""Where conversations and votes are kept: one database, written to by one process."""
