"""Audits a run: `python -m federation.privacy.audit runs/demo`; exit code 0: passed, 1: a check failed, 2: no run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from commandline import name_command, report_errors


def main(argv: Sequence[str] | None = None) -> int:
    """Audit the run that the command line names; what the user can mend is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m federation.privacy.audit", description=__doc__)
    parser.add_argument("run", help="folder of a private run that has ended, e.g. runs/demo")
    parser.add_argument("--seed", type=int, default=0, help="of the auditor's canaries, examples and noise")
    options = parser.parse_args(argv)
    passed: list[bool] = []
    code = report_errors(name_command(), lambda: passed.append(audit(options.run, options.seed)))
    return code or int(not all(passed))


def audit(run: str, seed: int) -> bool:
    """Audit a run, write the report into its folder, print each verdict and return whether all checks passed."""
    from federation.privacy.audit.audit import audit_run
    from federation.privacy.audit.report import write_report

    found = audit_run(run, seed)
    report = write_report(found)
    for verdict in found.verdicts:
        print(verdict)
    print(f"{'Passed' if found.passed else 'FAILED'}. The report: {report}")
    return found.passed


if __name__ == "__main__":
    sys.exit(main())
