"""Results go out: which products a destination wants, C-STORE or STOW-RS, retry, storage commitment, the doctor.

Read deliver.py first (what is owed -> send -> record), then send.py, c_store.py and stow.py. Nothing here knows how a
result was made; it sends the bytes of finished files (design invariant 5).
"""
