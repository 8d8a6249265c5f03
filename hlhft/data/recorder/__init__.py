"""The recorder: the live venue's public streams, raw and as parts of the catalogue, in a process of its own."""
