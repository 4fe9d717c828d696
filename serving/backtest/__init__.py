"""The backtest of rules: what any mix of rules, thresholds and lists would have done to recorded operations, as of then.

An operation is shown to the rules with what was known when it came: the vector that was recorded, or one made by replaying in order;
the registry as it was. What it turned out to be counts as far as it was known at a stated moment. Whatever arrived later is cut
off before anything is computed, so it cannot change a figure.
"""
