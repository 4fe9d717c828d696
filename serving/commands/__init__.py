"""The commands of a serving installation, a module each: `add_arguments(parser)` and `run(arguments)`."""
