"""Prompt formats: how a conversation becomes the text a model was tuned on."""
