"""Which votes a ranking leaves out, and why: rules one after the other, a waterfall of what each of them dropped.

    from fastchat.arena.cleaning.choosing import CleaningOptions, rules_for
    cleaned = clean(renamed(table, renames()), rules_for(CleaningOptions(anonymous_only=True)))

Voters who vote unlike others are set aside by `quarantine`, which is no rule: their votes stay to be shown.
"""
