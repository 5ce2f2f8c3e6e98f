"""Kafka's edges of the graph: source, sink, transaction, topics, registry."""
