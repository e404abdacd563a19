"""A Firestore emulator. The package itself imports nothing: the launcher runs in your process."""

__version__ = "0.2.0.dev0"
