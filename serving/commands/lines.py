"""What people wrote, as a command prints it."""


def in_line(text: object) -> str:
    """In one line, what cannot be seen by its escape: a reason that holds a line's end or a terminal's commands passes for no other line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def in_lines(text: str) -> str:
    """As `in_line`, for a text that has lines of its own."""
    return "\n".join(map(in_line, text.split("\n")))


def columns(*fields: object) -> str:
    """A line of fields with tabs between."""
    return "\t".join(map(in_line, fields))
