"""What the shop uses of Firestore, counted exactly, and its price."""
