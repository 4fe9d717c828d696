"""The coverage map: for each criterion and each kind of operation what serves it, and what that found."""
