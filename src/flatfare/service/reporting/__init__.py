"""Reporting: from calls, tasks and verdicts to what a verified outcome costs, by any key."""

from flatfare.service.reporting.figures import Figures, Percentiles, Row
from flatfare.service.reporting.report import Report, report

__all__ = ["Figures", "Percentiles", "Report", "Row", "report"]
