"""One command for one machine: what is started, whether it fits, and what keeps it running."""
