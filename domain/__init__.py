"""The words that every floor shares. Standard library and msgspec only."""
