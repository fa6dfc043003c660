"""Who reads along in an arena, and what is done with what they find."""
