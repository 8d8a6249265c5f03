"""Effects performed: files, sockets, timers and processes around the machines and the core."""
