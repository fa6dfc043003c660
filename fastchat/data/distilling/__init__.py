"""Conversations in which a model teaches: somebody's questions, a teacher's answers, as Vicuna learned from ChatGPT.

How a model is reached, paid and asked again is none of this package's business: it is handed a way to ask.
"""
