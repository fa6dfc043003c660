"""The arena: conversations with hidden or named models, votes that stay, and what is made of them. It has no page."""
