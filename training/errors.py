"""Errors a user of ``python -m training`` can meet; each is one line and carries its exit code."""

from __future__ import annotations


class TrainingError(Exception):
    """Something went wrong that is not a bug: the message says what, where and what to do."""

    exit_code = 1


class ConfigError(TrainingError):
    """An option or a configuration file is wrong."""

    exit_code = 2


class DataError(TrainingError):
    """A data set or a run directory is absent or cannot be read."""

    exit_code = 3
