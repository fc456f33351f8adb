"""The routes by subject; each module has ``router``."""
