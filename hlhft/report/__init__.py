"""What a run amounted to: its result as numbers, as a table, as a page, and as files."""
