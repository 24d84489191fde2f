"""The first minutes on a GPU: are the kernels right there, how fast, and which tile wins.

:mod:`.command` asks workers (:mod:`.crew`), processes of their own that a broken device may take
down, for one item of a part after the other (:mod:`.contract`, :mod:`.speed`,
:mod:`.trainings`, :mod:`.networks`, :mod:`.barrier`), keeps what
they answer, holds it against the limits (:mod:`.goals`) and writes it on a page (:mod:`.page`).
"""
