"""Real processes, real signals: how the server starts, ends, and gets over what happens to its workers."""
