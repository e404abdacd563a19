"""The time limits of order's batches: reservations sent to inventory, and orders that are created.

A batch is one remote call. Others wait for it in the queue of a ``Batcher``.
"""

MAX_QUEUE_SECONDS = 0.1
"""The longest that a queued item waits for the batch in flight. Then it starts a second batch.

A call normally takes less time than this, and a customer hardly notices the delay.
"""
MIN_SECONDS_TO_SHARE = 1.0
"""A leader that has less time left than this sends its own item alone.

If the leader's deadline ended a shared call early, the outcome of every item in the batch would be
unknown.
"""
