"""FastChat: train, serve and evaluate chatbots made from large language models."""

__version__ = "1.0.0.dev0"
