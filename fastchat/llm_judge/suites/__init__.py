"""Sets of questions that a result can name exactly: a folder with a signed manifest, and ours, of programs."""
