"""Bearer tokens: shared tokens, and JWTs of an OpenID Connect issuer."""
