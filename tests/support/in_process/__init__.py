"""order and inventory in the process of the test: on stores in memory, or on an emulator."""
