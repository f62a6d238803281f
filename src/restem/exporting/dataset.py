"""The samples of an iteration -> a data set in a folder."""

from pathlib import Path

from restem.experiment import Catalog
from restem.exporting.card import dataset_card
from restem.exporting.facts import Export, facts_of, pairing_of, samples_of
from restem.exporting.folder import write_dataset
from restem.exporting.rows import parts_of
from restem.parameters import Parameters

__all__ = ["Export", "export_samples"]


def export_samples(catalog: Catalog, parameters: Parameters, export: Export, *, output: Path) -> dict[str, int]:
    """Write a new folder with the samples of an iteration and their card, and return the rows of each table.

    Args:
        catalog: Of the experiment.
        parameters: As the command was given them.
        export: What is exported, and how.
        output: The folder; must not exist.

    Raises:
        ExperimentError: If there is nothing to export, or the folder exists.
        StorageError: If it cannot be written.
    """
    samples, made_with = samples_of(catalog, export, parameters)
    facts = facts_of(catalog, export, samples, made_with, parameters, command=export.command(output.name))
    parts = parts_of(samples, pairing_of(export, made_with))
    return write_dataset(
        {name: parts[name] for name in export.parts},
        output,
        asked=export.asked,
        card=lambda n_rows: dataset_card(facts, n_rows),
        manifest=facts._asdict(),
    )
