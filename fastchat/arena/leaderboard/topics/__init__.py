"""Topics of prompts: similar prompts together, with a name for each group.

prompts ─► vectors (`embedding`, `lexical`) ─► groups (`clustering`) ─► key words (`naming`) ─► files (`outputs`)
                                                                  └► a line by a model (`summarizing`)
"""
