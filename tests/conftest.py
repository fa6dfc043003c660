"""Examples have no deadline: a machine that is busy with something else is no fault of theirs."""

from hypothesis import settings

settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")
