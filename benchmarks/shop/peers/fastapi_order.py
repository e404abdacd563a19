"""order with FastAPI, asyncpg and httpx."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

import asyncpg
import httpx
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from benchmarks.shop.peers import statements

PLACE, FIND = map(statements.numbered, (statements.PLACE, statements.FIND_ORDER))
TIMEOUT = 10.0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with (
        asyncpg.create_pool(os.environ["DATABASE"], min_size=4, max_size=16) as pool,
        httpx.AsyncClient(base_url=os.environ["INVENTORY_URL"], timeout=TIMEOUT) as client,
    ):
        app.state.pool, app.state.client = pool, client
        yield


app = FastAPI(lifespan=lifespan)


class Wanted(BaseModel):
    customer_id: str
    product_id: str
    quantity: int = Field(ge=1)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/orders", status_code=201)
async def place(wanted: Wanted, idempotency_key: Annotated[str, Header()]) -> dict[str, Any]:
    order_id = statements.order_id(wanted.customer_id, idempotency_key)
    reserved = await app.state.client.put(
        f"/reservations/{order_id}",
        json={"product_id": wanted.product_id, "quantity": wanted.quantity},
    )
    if reserved.status_code != 201:  # noqa: PLR2004 - created
        raise HTTPException(reserved.status_code, reserved.json())
    total = Decimal(str(reserved.json()["price"])) * wanted.quantity
    values = (order_id, wanted.customer_id, idempotency_key, wanted.product_id, wanted.quantity)
    async with app.state.pool.acquire() as connection:
        new = await connection.fetchrow(PLACE, *values, total)
        if new is None:
            return dict(await connection.fetchrow(FIND, wanted.customer_id, idempotency_key))
    return {
        **wanted.model_dump(),
        "order_id": order_id,
        "status": "confirmed",
        "total_price": float(total),
    }
