"""What the shop takes of Firestore, counted exactly, and what that costs."""
