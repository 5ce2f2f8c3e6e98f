"""The one error of this package."""


class LocalError(Exception):
    """Kafka or the registry cannot be fetched or run: what, where, and what to type next."""
