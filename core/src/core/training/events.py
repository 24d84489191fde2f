"""Events for TensorBoard: curves, histograms, settings, pictures."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch import Tensor
from torch.utils.tensorboard import summary as summaries

_BINS = 30


class EventLog:
    """One ``events.out.tfevents.*`` file; use as a context manager.

    PyTorch's SummaryWriter hands the same records to a thread, so that a kill loses two minutes of
    them and a full disk shows as that thread's traceback. Here the caller writes, and a point
    that was added survives a kill.

    Args:
        folder: Where the file goes. TensorBoard reads all files of a folder in order of time.
        purge_step: Hide what earlier files say from this step on (a resumed run); None for a new
            run.

    Raises:
        OSError: Here and from the other methods, when the file cannot be written.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        name = f"events.out.tfevents.{time.time():017.6f}.{os.getpid()}"
        self._folder = folder
        self._steps: EventLog | None = None
        self._file = open(folder / name, "xb")  # noqa: SIM115  closed by __exit__
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._steps is not None:
            self._steps.__exit__(kind, error, trace)

    @property
    def steps(self) -> EventLog:
        """A log in the folder ``steps`` of the folder, for points that are no points of an epoch.

        A resumed run hides nothing of it: what it logs again there it logs with the same values.
        """
        if self._steps is None:
            folder = self._folder / "steps"
            folder.mkdir(exist_ok=True)
            self._steps = EventLog(folder)
        return self._steps

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a point to the curve ``tag``."""
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        self._write(Event(step=step, summary=summary))

    def histogram(self, tag: str, values: Tensor, step: int) -> None:
        """Add how ``values`` are distributed."""
        found = values.detach().cpu().numpy()
        self._write(Event(step=step, summary=summaries.histogram(tag, found, _BINS)))

    def settings(self, values: Mapping[str, object], metrics: Mapping[str, float]) -> None:
        """Say what the run was asked for, as hyper-parameters of the curves ``metrics``."""
        simple = {
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in values.items()
        }
        experiment, start, _ = summaries.hparams(simple, dict(metrics))
        self._write(Event(summary=experiment))
        self._write(Event(summary=start))

    def picture(self, tag: str, png: bytes, step: int) -> None:
        """Show a picture, the content of a PNG file."""
        width, height = struct.unpack(">II", png[16:24])
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        value = Summary.Value(tag=tag, image=image)
        self._write(Event(step=step, summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._file.flush()
