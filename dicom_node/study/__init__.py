"""A study from its first object to its delivered result.

Read states.py (the table), completion.py and wholeness.py (when is it complete), snapshot.py (what a job works on),
then lifecycle.py, which applies them to the catalog.
"""
