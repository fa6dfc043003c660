"""Translators: OpenAI's API in front, a provider's own API behind, through the provider's official SDK."""
