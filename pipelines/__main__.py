"""`python -m pipelines` is `khabar`."""

from pipelines.cli import main

main()
