"""What stands around a model and is none of it: compilation, replication over devices."""

from __future__ import annotations

import copy

from torch import nn


def unwrapped(module: nn.Module) -> nn.Module:
    """The model without ``torch.compile`` and ``DataParallel``, around it or inside it.

    Compiled code runs outside Python, where attention cannot be seen, and replicas run on other
    threads. The weights are the same tensors; nothing is set on the module given: where one of
    its parts is compiled, what holds that part is a shallow copy.
    """
    while True:
        inner = _inside(module)
        if inner is None:
            break
        module = inner
    changed = {
        name: unwrapped(child)
        for name, child in module.named_children()
        if not isinstance(child, nn.Identity)
    }
    changed = {k: v for k, v in changed.items() if v is not module._modules[k]}
    compiled = getattr(module, "_compiled_call_impl", None) is not None
    if not changed and not compiled:
        return module
    shallow = copy.copy(module)
    shallow.__dict__["_modules"] = {**module._modules, **changed}
    if compiled:
        shallow.__dict__["_compiled_call_impl"] = None
    return shallow


def _inside(module: nn.Module) -> nn.Module | None:
    compiled = module.__dict__.get("_modules", {}).get("_orig_mod")
    if isinstance(compiled, nn.Module):
        return compiled
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = module.module
        return inner if isinstance(inner, nn.Module) else None
    return None
