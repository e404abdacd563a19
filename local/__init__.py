"""The whole system on one machine: emulator, inventory and order as processes of their own."""
