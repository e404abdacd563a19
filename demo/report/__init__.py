"""The report of a demo: its figures, tables and pictures."""
