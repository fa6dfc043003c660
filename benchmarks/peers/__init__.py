"""Those we measure ourselves against, each installed in a virtual environment of its own."""
