"""Audits a run: `python -m federation.privacy.audit runs/demo`; exit code 0: passed, 1: a check failed, 2: no run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Audit the run that the command line names, print each verdict and write the report into the run's folder."""
    parser = argparse.ArgumentParser(prog="python -m federation.privacy.audit", description=__doc__)
    parser.add_argument("run", help="folder of a private run that has ended, e.g. runs/demo")
    parser.add_argument("--seed", type=int, default=0, help="of the auditor's canaries, examples and noise")
    options = parser.parse_args(argv)

    from federation.privacy.audit.audit import audit_run
    from federation.privacy.audit.report import write_report

    try:
        audit = audit_run(options.run, options.seed)
        report = write_report(audit)
    except (OSError, ValueError) as error:
        print(f"audit: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for verdict in audit.verdicts:
        print(verdict)
    print(f"{'Passed' if audit.passed else 'FAILED'}. The report: {report}")
    return 0 if audit.passed else 1


if __name__ == "__main__":
    sys.exit(main())
