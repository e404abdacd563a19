"""Run the emulator, or export or import its data directory: python -m firestore_emulator."""

from firestore_emulator.cli.commands import main

if __name__ == "__main__":
    main()
