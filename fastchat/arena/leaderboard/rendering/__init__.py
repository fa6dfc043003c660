"""A board for readers: tables for a terminal, Markdown, CSV, a page of its own, and the pickle that FastChat wrote.

Names of models, organisations and licences come from others. Each form escapes them in its own way.
"""
