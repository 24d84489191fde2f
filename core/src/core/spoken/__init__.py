"""Spoken digits and words: what the papers of the speech-command family share.

Settings, tasks, networks by the names of their users, and the state dicts of the authors' codes.
The settings import nothing heavy; take the rest from its modules.
"""
