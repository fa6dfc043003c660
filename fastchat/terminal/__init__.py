"""A chat in the terminal: a conversation, its commands, three styles of input and output, and whoever answers."""
