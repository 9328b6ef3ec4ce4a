"""The report of a run: figures and one self-contained page, made from the recording alone."""

from edge_robot.report.metrics import run_metrics
from edge_robot.report.page import write_report

__all__ = ["run_metrics", "write_report"]
