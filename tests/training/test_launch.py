"""torchrun as job scripts start it: the exit code of the training, and no traceback."""

from __future__ import annotations

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from distill.training import launch


@pytest.mark.parametrize(("ended", "code"), [(130, 130), (2, 2), (-9, 137)])
def test_the_code_of_the_process_that_ended_first_is_that_of_the_job(
    ended: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torchrun(arguments: list[str]) -> None:
        failures = {
            rank: ProcessFailure(local_rank=rank, pid=7, exitcode=exitcode, error_file="<N/A>")
            for rank, exitcode in ((0, ended), (1, 1))
        }
        failures[1].timestamp = failures[0].timestamp + 5
        raise ChildFailedError("distill", failures)

    monkeypatch.setattr(launch, "main", torchrun)
    assert launch.launch(["-m", "distill"]) == code
