"""The web page: a Gradio client of the OpenAI API that the gateway serves.

Nothing here knows a model, a worker or the controller; whatever speaks `/v1` can stand behind the page.
"""
