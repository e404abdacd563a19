"""Emulators that tests start, their messages, and the comparison of two emulators."""
