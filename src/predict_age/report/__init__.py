"""The report of a run: one self-contained HTML page, made from the records of its steps."""

from predict_age.report.run_report import write_report

__all__ = ["write_report"]
