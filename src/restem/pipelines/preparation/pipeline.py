"""Questions, prompts and the base policy: once per experiment."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.preparation.nodes import (
    collect_human_solutions,
    load_questions,
    prepare_base_policy,
    prepare_teacher,
    quarantine_questions,
    quarantine_unasked_questions,
    render_prompts,
    separate_near_duplicates,
    summarise_questions,
)


def create_pipeline() -> Pipeline:
    """Make what every iteration reads."""
    return Pipeline(
        [
            Node(load_questions, ["params:questions", "params:limits"], "candidate_questions", name="load_questions"),
            Node(
                separate_near_duplicates,
                ["candidate_questions", "params:questions"],
                ["separated_questions", "near_duplicates"],
                name="separate_near_duplicates",
            ),
            Node(
                quarantine_questions,
                ["separated_questions", "params:scoring"],
                ["judgeable_questions", "unjudgeable_questions"],
                name="quarantine_questions",
            ),
            Node(prepare_base_policy, ["base_models", "params:policy"], "policy_0", name="prepare_base_policy"),
            Node(
                prepare_teacher,
                ["base_models", "policy_0", "params:policy", "params:prompt"],
                "teacher",
                name="prepare_teacher",
            ),
            Node(
                render_prompts,
                ["judgeable_questions", "policy_0", "parameters"],
                "prompts",
                name="render_prompts",
            ),
            Node(
                quarantine_unasked_questions,
                ["judgeable_questions", "unjudgeable_questions", "prompts"],
                ["questions", "quarantined_questions"],
                name="quarantine_unasked_questions",
            ),
            Node(
                collect_human_solutions,
                ["questions", "prompts", "journal"],
                "kept_0",
                name="collect_human_solutions",
            ),
            Node(
                summarise_questions,
                ["questions", "quarantined_questions", "near_duplicates", "prompts", "params:training"],
                "questions_summary",
                name="summarise_questions",
            ),
        ],
        namespace="preparation",
        prefix_datasets_with_namespace=False,  # they are known by their names
        tags="prepare",
    )
