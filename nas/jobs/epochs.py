"""The log of a training in its run's folder, one line an epoch, and the history read back from it."""

from __future__ import annotations

import json
from dataclasses import asdict

from nas.runs import RunFolder
from nas.training.evaluation import Accuracy
from nas.training.history import EpochRecord, History, Observer
from searchspace.support.errors import UserError
from searchspace.support.files import read_text

LOG = "log.jsonl"


class EpochLog:
    """Keeps `log.jsonl` up to date, one line per epoch, and passes everything on to another observer."""

    def __init__(self, folder: RunFolder, observer: Observer | None) -> None:
        self.folder, self.observer = folder, observer
        self.lines: list[str] = []

    def step_done(self, epoch: int, step: int, steps: int, images: int) -> None:
        """Pass it on."""
        if self.observer is not None:
            self.observer.step_done(epoch, step, steps, images)

    def epoch_done(self, record: EpochRecord) -> None:
        """Write the epoch's line and pass it on."""
        self.lines.append(json.dumps(asdict(record)) + "\n")
        self.folder.write(LOG, "".join(self.lines))
        if self.observer is not None:
            self.observer.epoch_done(record)


def read_epochs(folder: RunFolder) -> History:
    """Return the epochs of a run that classifies; raises UserError, naming the line, for what is no log of them."""
    path = folder.file(LOG)
    records = []
    for number, line in enumerate(read_text(path, "log of epochs").splitlines(), start=1):
        try:
            found = json.loads(line)
            records.append(EpochRecord(**{**found, "search": Accuracy(**found["search"])}))
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}, line {number}: no epoch of a classifier's training ({error})") from None
    if not records:
        raise UserError(f"{path} holds no epoch")
    return History(tuple(records))
