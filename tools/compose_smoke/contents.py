"""What an image of ours is made of. Runs inside of it, with its Python, and prints JSON."""

from __future__ import annotations

import json
import os
import site
from importlib import metadata
from pathlib import Path


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count nothing."""
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_file():
        return path.stat().st_size
    return sum(size(Path(folder) / name) for folder, _, names in os.walk(path) for name in names)


def main() -> None:
    """Prints bytes by package, of machine code, and of the environment as a whole."""
    packages = {}
    for distribution in metadata.distributions():
        files = distribution.files or []
        packages[distribution.name] = sum(size(Path(str(file.locate()))) for file in files)
    environment = Path(site.getsitepackages()[0]).parents[2]
    code = size(Path.home() / ".cache")
    print(json.dumps({"packages": packages, "environment": size(environment), "code": code}))


if __name__ == "__main__":
    main()
