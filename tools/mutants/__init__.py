"""Mutation testing of the modules whose errors would cost stock or orders."""
