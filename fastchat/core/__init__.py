"""What every other package may know: errors, settings, logs, metrics, HTTP plumbing."""
