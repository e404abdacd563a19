CREATE TABLE products (
    product_id text PRIMARY KEY,
    name text NOT NULL,
    price numeric(12, 2) NOT NULL,
    available integer NOT NULL CHECK (available >= 0),
    reserved integer NOT NULL DEFAULT 0
);
CREATE TABLE reservations (
    order_id text PRIMARY KEY,
    product_id text NOT NULL REFERENCES products,
    quantity integer NOT NULL,
    price numeric(12, 2) NOT NULL,
    name text NOT NULL
);
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    customer_id text NOT NULL,
    idempotency_key text NOT NULL,
    product_id text NOT NULL,
    quantity integer NOT NULL,
    status text NOT NULL,
    total_price numeric(12, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (customer_id, idempotency_key)
);
