"""The first minutes on a GPU: are the kernels right there, how fast, and which tile wins.

:mod:`.command` asks workers (:mod:`.crew`), processes of their own that a broken device may take
down, for one item of a part (:mod:`.parts`) after the other and keeps what they answer.
"""
