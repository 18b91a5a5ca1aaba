"""Patients from data sets that users have, read as they are. case.py says what a case is; a file for each layout."""
