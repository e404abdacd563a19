"""What no shop can be faster than: the same hops and the same Firestore calls, and nothing else."""
