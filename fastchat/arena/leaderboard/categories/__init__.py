"""Categories of votes, each with a board of its own: what was asked, in which language, how long, how it was voted.

A category is told by a column of the table, by labels that a model has given (`labels`, `labelling`), by rules over the
texts (`builtin.yaml`, or a file of one's own: `rules`), or by the language (`languages`). `finding` puts them together.
"""

from fastchat.arena.leaderboard.categories.finding import Category, Sources, available, categories_of, members_of

__all__ = ["Category", "Sources", "available", "categories_of", "members_of"]
