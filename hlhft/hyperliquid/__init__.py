"""The venue's language: how numbers are written, how actions are hashed and signed. Pure: no socket, clock or file."""
