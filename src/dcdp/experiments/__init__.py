"""Runs over folds: load, split, audit, train, test, report."""
