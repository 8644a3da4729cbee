"""The report: one self-contained page, its tables as CSV and its figures as SVG."""

from __future__ import annotations

from bayes_ptsd.report.page import write_report

__all__ = ["write_report"]
