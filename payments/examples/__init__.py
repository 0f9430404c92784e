"""Examples for developers: small shops that know nothing of Flint but its public API."""
