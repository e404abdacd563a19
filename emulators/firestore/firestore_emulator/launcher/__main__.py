"""Become the emulator that the environment chooses: python -m firestore_emulator.launcher."""

from firestore_emulator.launcher import main

main()
