"""Tokens of an OpenID Connect issuer as proof of who asks (RFC 9068, RFC 8725): optional, beside API keys."""
