"""The feature engine beside named peers, on generated operations: the parts of `benchmarks/features.py`."""
