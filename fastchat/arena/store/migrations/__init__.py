"""One file a version of the tables, by Alembic. Written by hand; a test holds the result against `tables`."""
