"""The served endpoint beside named peers; `python benchmarks/serving.py` runs it."""
