"""What is wrong with a file's content, before anybody knows which bundle it belongs to."""


class Damage(ValueError):
    """A file's content that no bundle may hold; the text goes on after the file's name, as in ``is no npz file``."""
