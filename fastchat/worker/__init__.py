"""One or more engines on the network: OpenAI's routes, admission, registration with the controller."""
