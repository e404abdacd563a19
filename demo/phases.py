"""Names of the phases of a run."""

WAIT_FOR_ZERO = "wait for zero pods"
COLD_START = "first order, cold start"
FIRST_ORDER = "first order"
HOT_PRODUCT = "sale of one product"
MANY_PRODUCTS = "sale of ten products"
SCALE_DOWN = "scale to zero"

RECOUNT = "second count"
"""After the run: it is no phase of the recording."""
