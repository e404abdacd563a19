"""A lower bound of a shop's latency: the same hops and Firestore calls, without logic."""
