"""Voters that are programs: they battle over the arena's API as people do, and vote by a rule that is stated.

Each vote says so itself, in its reasons. They are for rehearsing (load, matchmaking, the way from votes to a tuned
model); what they prefer says nothing about people.
"""
