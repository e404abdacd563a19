"""`make verify-firestore` tries the shop on a real Firestore project."""
