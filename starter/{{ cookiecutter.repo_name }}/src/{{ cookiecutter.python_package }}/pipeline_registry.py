"""Kedro's pipelines: those of restem. Write a `register_pipelines` here that returns yours beside them."""

from restem.pipeline_registry import register_pipelines

__all__ = ["register_pipelines"]
