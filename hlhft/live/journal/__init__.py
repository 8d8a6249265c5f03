"""The journal: every input of the core, every command, and what was done about it, on disk before it happens."""
