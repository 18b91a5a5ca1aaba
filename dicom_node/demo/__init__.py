"""`quartet demo`: one synthetic patient through the whole node. Start with run.py."""
