"""The shops that people would build instead: Flask or FastAPI, with PostgreSQL.

Each has the same two functions, one process each. They follow the documentation of their libraries:
a pool of connections, a conditional update of the stock, durable commits, and a unique constraint
for the idempotency key. They check less than our functions, log nothing and trace nothing.
"""
