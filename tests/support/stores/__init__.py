"""Stores in memory, objects in a known state, and the queries of the real stores."""
