"""What is known about a data set before it is on disk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a data set, as published.

    A file is checked by the strongest digest that is known: ``sha256``, else ``md5``. Where
    neither is known, all that can be checked is that the packed file is whole.

    Attributes:
        name: file name inside the data set's folder.
        size: length in bytes, None when it is not known.
        sha256: digest of the file.
        urls: where it can be downloaded, in the order to try; may be empty.
        md5: the digest that older pages quote; checked when no ``sha256`` is known.
        payload_sha256: digest of the unpacked bytes of a packed file. Packing the same bytes
            differs between tools, so a file that was packed again is still recognised by it.
        payload_md5: the same as md5; used when no ``payload_sha256`` is known.
        payload_size: length of the unpacked bytes; more are not unpacked.
        copies: size and sha256 of other files that hold the same and serve as well, such as
            weights without the state of their optimiser.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    md5: str | None = None
    payload_sha256: str | None = None
    payload_md5: str | None = None
    payload_size: int | None = None
    copies: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set: its files and what must be said when it is used.

    Attributes:
        name: how the command line and the code call it.
        title: one line for listings.
        files: what must lie in its folder.
        licence: under which terms.
        citation: what to cite.
        folder: its folder below the data root and on mirrors, by default its name.
        by_hand: how to get the files when they have no address.
        stands_in: how to do without, for the message when they cannot be had; may be empty.
    """

    name: str
    title: str
    files: tuple[SourceFile, ...]
    licence: str
    citation: str
    folder: str = ""
    by_hand: str = ""
    stands_in: str = "--data embedded (--data_folder embedded where there is no --data)"

    @property
    def place(self) -> str:
        """Folder below the data root and on mirrors."""
        return self.folder or self.name
