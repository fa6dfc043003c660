"""Cleaning: rules on one conversation, memories that compare with earlier ones, and a stream of both on all cores.

file ─► batches ─► rules, marks of memories (all cores) ─► memories (in order) ─► file
                                 └────────── Tally ◄───────────┘  ─► report
"""
