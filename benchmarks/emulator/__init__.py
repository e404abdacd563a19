"""Both Firestore emulators in one run: how fast, how soon ready, how big.

The client is the same for both, and their rounds alternate, so that whatever the machine does
besides falls on both. The JVM is warmed up before anything is timed.
"""
