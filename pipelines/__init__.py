"""Khabar: Arabic news from Kafka to clean, de-duplicated, entity-tagged Avro records."""

__version__ = "0.1.0"
