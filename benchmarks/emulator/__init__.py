"""Compares both Firestore emulators in one run: latency, contention, start time and memory.

Both have the same client. Their rounds alternate, so that other load on the machine affects both.
The JVM is warmed up before the first measurement.
"""
