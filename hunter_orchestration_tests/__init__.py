"""Tests, a folder a room. Real parts only: sockets, databases, processes, a browser."""
