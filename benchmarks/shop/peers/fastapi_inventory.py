"""inventory with FastAPI and asyncpg: a pool, and one transaction for each reservation."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from benchmarks.shop.peers import statements

TAKE, RESERVE = map(statements.numbered, (statements.TAKE, statements.RESERVE))
FIND = statements.numbered(statements.FIND_RESERVATION)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE"], min_size=4, max_size=16) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


class Wanted(BaseModel):
    product_id: str
    quantity: int = Field(ge=1)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.put("/reservations/{order_id}", status_code=201)
async def reserve(order_id: str, wanted: Wanted) -> dict[str, Any]:
    product_id, quantity = wanted.product_id, wanted.quantity
    async with app.state.pool.acquire() as connection:
        try:
            async with connection.transaction():
                taken = await connection.fetchrow(TAKE, quantity, quantity, product_id, quantity)
                if taken is None:
                    raise HTTPException(409, "insufficient stock")
                await connection.execute(RESERVE, order_id, product_id, quantity, *taken)
        except asyncpg.UniqueViolationError:  # a repeat: the transaction has given its units back
            taken = await connection.fetchrow(FIND, order_id)
    price, name = taken
    return {"product_id": product_id, "quantity": quantity, "price": float(price), "name": name}
