"""The time limits of order's batches: reservations sent to inventory, and orders that are created.

A batch is one remote call. Others wait for it in the queue of a ``Batcher``.
"""

MAX_QUEUE_SECONDS = 0.1
"""A queued item waits at most so long for the batch in flight. Then it starts a batch beside it.

A call normally takes less time, and a customer hardly notices this delay.
"""
MIN_SECONDS_TO_SHARE = 1.0
"""A leader with so little time left sends its own item alone.

If the leader's deadline ended a shared call early, the outcome of every item in the batch would be
unknown.
"""
