"""Conversations to train on: what they are, how they are read, cleaned and counted. Nothing here needs torch."""
