"""What goes out of the arena and into it as files: FastChat's logs, tables of votes, public releases."""
