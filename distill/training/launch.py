"""torchrun for job scripts, without its traceback: a training that fails or is stopped has said why itself.

`python -m distill.training.launch` takes what `torchrun` takes, and ends with the code of the training.
"""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def launch(arguments: list[str]) -> int:
    """Run torchrun; return 0, or the exit code of the process that ended first with another (128 + a signal)."""
    try:
        main(arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]))
