"""Recipes, data, training, records, reports and the command line."""
