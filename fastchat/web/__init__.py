"""The web page: a Gradio client of the arena, which runs in the same process.

Nothing here draws a pair, hides a name or counts a vote; that is `fastchat.arena`. What stands here is how it looks,
and what of it a browser may ask for.
"""
