"""OpenVINO GenAI as an engine: continuous batching on x86 CPUs."""
