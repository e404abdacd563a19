"""Firestore's list prices, before any free quota or discount.

https://cloud.google.com/firestore/pricing; the three prices of us-central1 also stand in
https://firebase.google.com/docs/firestore/pipelines/understanding-core-pipelines.
"""

from decimal import Decimal

SOURCE = "[Firestore's list prices](https://cloud.google.com/firestore/pricing)"
EDITION = "Standard edition"
REGION = "us-central1"
AS_OF = "August 2026"

# Dollars for 100,000 documents.
READS = Decimal("0.03")
WRITES = Decimal("0.09")
DELETES = Decimal("0.01")
PRICED = 100_000
