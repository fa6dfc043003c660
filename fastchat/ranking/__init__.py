"""From comparisons to ratings: pure functions of arrays, which give frozen results with what they were made from.

    Comparisons (codes, a row a vote) ─► Counts (votes by pair and outcome) ─► a fit ─► Estimates ─► intervals, ranks

Counts are all that Bradley-Terry needs, they add up, and they are small; voters and style need the rows. Strengths are
natural logarithms of odds everywhere; only a `Scale` turns them into what boards show.
"""
