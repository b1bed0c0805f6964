"""Write attnlib/model/architectures.json.xz: the shapes of the weights of all of timm's models.

python -m training.index_architectures      (about three minutes; on the meta device)
"""

from __future__ import annotations

import timm
import torch

from attnlib.model.architectures import INDEX, Signature, pack, signature


def main() -> None:
    """Build every architecture without memory for its weights, and note their shapes."""
    signatures: dict[str, Signature] = {}
    for name in timm.list_models():
        with torch.device("meta"):
            signatures[name] = signature(timm.create_model(name, pretrained=False))
    INDEX.write_bytes(pack(signatures))
    print(f"{len(signatures)} architectures, {INDEX.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
