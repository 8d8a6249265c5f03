"""The inference process: what it decides (`machine`), and how it is run (`shell`)."""
