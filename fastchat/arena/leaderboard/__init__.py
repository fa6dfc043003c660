"""Votes ─► a board: read from wherever they are, cleaned, sorted into categories, rated, shown, and verified.

files, the store ─► VoteTable ─► cleaning ─► categories ─► ranking ─► Board (one JSON file) ─► page, site, tables
"""
