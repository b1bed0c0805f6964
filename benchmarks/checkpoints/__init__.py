"""Every way to bring a model that people really have, each made by the real library.

Needs an environment of its own, since these libraries are not among ours::

    python -m venv checkpoints && . checkpoints/bin/activate
    python -m pip install -r requirements.txt -r benchmarks/checkpoints/requirements.txt
    python -m benchmarks.checkpoints.table --write

One kind is one function in one of the modules beside this one; :mod:`~benchmarks.checkpoints.table`
makes them all, and ``tests/model/test_checkpoint_kinds.py`` those that our own libraries make.
"""
