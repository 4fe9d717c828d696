"""What the regulation makes us keep: ledger, registry, rules, keys, and who changed them and why."""
