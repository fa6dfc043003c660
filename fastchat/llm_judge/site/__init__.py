"""A folder of questions, answers and judgments as pages that stand alone, to be read by people, who can grade there.

folder ─► Bench ─► Site: index.html, questions/0001.html, … ─► a folder of files, or a server on this machine
Grading ─► grade/1, grade/2, … on that server
"""
