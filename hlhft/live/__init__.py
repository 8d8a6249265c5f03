"""Effects performed: sockets, files, timers, processes. What is decided is decided by the machines and the core."""
