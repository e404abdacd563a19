"""Differential test: the same random requests to two emulators must have equal responses.

A step is a request without the times and transactions of one emulator. ``session`` sends it to one
emulator and keeps the comparable parts of the response. ``script`` generates steps from a seed.
``compare`` runs them on both. ``differences`` lists the intended differences.
"""
