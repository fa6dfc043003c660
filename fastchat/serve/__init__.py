"""The names FastChat's users know; each is a door to `fastchat/commands/`."""
