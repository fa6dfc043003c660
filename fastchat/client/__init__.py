"""The caller's side: which endpoints serve a model, which one to take, and how to speak to it."""
