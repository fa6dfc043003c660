"""Files of other programs as our records: `conversations.read_conversations`, `preferences.read_preferences`."""
