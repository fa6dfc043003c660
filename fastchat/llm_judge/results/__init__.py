"""What judgments say: scores, wins, agreement and calibration, each with an interval. `show(DIR)` has all of a folder.

files of a folder ─► Judged ─► ScoreBoard, PairBoard, Agreements, Calibrated ─► Report ─► text, Markdown, CSV, JSON
"""

from fastchat.llm_judge.results.report import Report, show

__all__ = ["Report", "show"]
