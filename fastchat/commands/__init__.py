"""One file a command: reads settings, builds objects, hands them to each other, runs. Nothing imports it."""
