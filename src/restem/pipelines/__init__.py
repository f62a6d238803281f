"""One iteration of ReST^EM in order, each step with the function that takes it. Read this after the registry.

Before the first iteration, `prepare` (pipelines/preparation) and `baseline`:

    questions       questions.load_questions                  the questions of each split, with a checkable gold
    duplicates      questions.contamination.separate_near_duplicates    what is evaluated is not trained on
    quarantine      scoring.quarantine.quarantine_questions   golds that do not earn 1 are set aside
    prompts         sampling.prompts.render_prompts           question -> prompt: the only place with prompt text
    policy_0        policies.base_models.prepare_base_model   measured as every later policy

E-step of iteration i:

    samples         sampling.sampler.draw_samples             completions of policy i-1, shard by shard, journaled
    scored_samples  scoring.verdicts.score_samples            verdicts of rewards.load_reward
    further         scoring.follow_up.follow_up_samples       rounds for questions with too few correct samples
    audit           scoring.audit.audit_rewards               can the verdicts be trusted?
    training_set    filtering.selection.select_training_set   which scored samples are learned from

M-step:

    gate            training.gate.check_training_set          is what would be learnt what was meant?
    policy_i        training.m_step.train_policy              journaled training.train: base policy + training set

Evaluation, the same for every policy:

    evaluation_i    evaluation.metrics.evaluate_policy        a row per question of validation, test and transfer
    metrics         evaluation.metrics.summarise_evaluation   numbers with intervals
    sentinels       evaluation.sentinels.watch                overfitting, lost diversity or transfer, a worse audit
    record_i        reporting.records.make_record             the last thing written: without it nothing is complete

After it, `compare`: evaluation.comparisons.compare, evaluation.best_policy.recommend, reporting.assemble.report.
"""
