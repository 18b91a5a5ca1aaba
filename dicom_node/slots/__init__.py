"""Which series of a study is BRAVO, PRE_CUBE, POST_CUBE or FLAIR: `classify.classify_study` is the way in.

    headers -> evidence (facts) -> rules (kind of image) -> contrast (before or after Gd) -> choose (best of a slot)

Physics comes before text: a series is what its TR, TE, TI, flip angle and pulse sequence make it, and words only decide
where physics cannot (an angiogram, a subtraction, contrast given). Nothing here opens files but folder.py and table.py.
"""
