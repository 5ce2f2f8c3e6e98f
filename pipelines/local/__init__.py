"""A real Apache Kafka and a real Apicurio registry on this machine, with no Docker and no Java.

For the demo, the tests and `khabar up`: loopback only, and gone when the process that started
them is gone. Not for production.
"""

from pipelines.local.artifacts import Programs, fetch
from pipelines.local.errors import LocalError
from pipelines.local.flink import Flink, FlinkAddresses
from pipelines.local.services import Addresses, Services

__all__ = ["Addresses", "Flink", "FlinkAddresses", "LocalError", "Programs", "Services", "fetch"]
