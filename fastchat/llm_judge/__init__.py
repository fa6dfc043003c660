"""Questions, answers and verdicts: how well models answer, where a strong model, rules or people judge.

    questions ─► answers (a file a model) ─► matches ─► verdicts (a file a judge and mode) ─► results with intervals

All files are FastChat's JSON lines (`records.py`). Whoever calls a model is handed in as an `Ask`.
"""
