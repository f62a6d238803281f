"""Kedro's settings: those of restem, all of them. What you set below stands in place of theirs."""

from restem.settings import *  # noqa: F403 - what a later restem adds is taken too
