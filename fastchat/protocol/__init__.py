"""What travels between processes: OpenAI's API and the controller's."""
