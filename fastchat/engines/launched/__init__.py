"""Engines that are servers of their own: launched, watched and registered, never imported."""
