"""One file per recorded format; each turns its bytes into events in order of arrival."""
