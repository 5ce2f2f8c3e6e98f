"""The stages: one pure module each, and the language knowledge that they share.

Nothing here knows Beam, Kafka, a registry, a clock or the environment.
"""
