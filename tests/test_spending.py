"""What an experiment may take: counted over all its runs, spent where nothing is lost, and no part of what is made."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.commands.plan import _against_budget
from restem.errors import BudgetError, DamageError, ParameterError
from restem.parameters import BudgetParameters, LimitsParameters, PricesParameters, ScoringParameters
from restem.parameters.limits import TokenPriceParameters
from restem.reporting.table_sections import cost_section
from restem.sampling.sampler import Draw, EngineChoice, draw_samples
from restem.scoring.quarantine import quarantine_questions
from restem.scoring.verdicts import score_samples
from restem.spending import Spending, cost_of, measures, measures_of, spending
from restem.store.journal import Journal
from restem.store.ledger import Account, Ledger, Taken, ledger_file
from restem.store.tables import ShardedTable
from tests import builders
from tests.builders import checked
from tests.conftest import Logged, Project
from tests.engines.faulty_server import FaultyServer, serving, status
from tests.rewards.chat_server import grading, knows_that_it_is_four
from tests.sampling.drawing import DECODING, POLICY, asked, scripted

N_QUESTIONS = 18  # three shards
PER_SHARD = 6 * 16 * 4  # questions, samples, words of the longest answer and its end: an upper bound


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    yield Ledger(tmp_path / "account" / "spending.json")
    spending.close()


def begin(ledger: Ledger, **budget: Any) -> None:
    """Begin a run of an experiment, as after a kill if one is open."""
    spending.open(ledger, LimitsParameters(budget=BudgetParameters(**budget)), experiment="e")


def account_of(ledger: Ledger) -> Account:
    account = ledger.read()
    assert account is not None
    return account


def n_shards(journal: Path) -> int:
    return len(list(journal.glob("samples-*/[0-9]*.parquet")))


def bytes_of(table: ShardedTable) -> list[bytes]:
    return [file.read_bytes() for file in table.files]


def test_a_budget_ends_a_draw_between_shards_and_a_higher_one_goes_on_to_the_same_bytes(
    tmp_path: Path, ledger: Ledger
) -> None:
    begin(Ledger(tmp_path / "other.json"))
    undisturbed = scripted(tmp_path / "undisturbed", n_questions=N_QUESTIONS)
    spending.close()
    needed = account_of(Ledger(tmp_path / "other.json")).sampling.completion_tokens

    begin(ledger, tokens=needed // 2)
    with pytest.raises(BudgetError, match=r"limits\.budget\.tokens=.*kept and costs nothing again.*go on with: "):
        scripted(tmp_path / "journal", n_questions=N_QUESTIONS)
    assert n_shards(tmp_path / "journal") == 2
    assert not list((tmp_path / "journal").rglob("*.partial"))

    begin(ledger, tokens=needed // 2)  # as the same command again: nothing more is taken
    with pytest.raises(BudgetError):
        scripted(tmp_path / "journal", n_questions=N_QUESTIONS)
    begin(ledger, tokens=10 * needed)
    drawn = scripted(tmp_path / "journal", n_questions=N_QUESTIONS)
    spending.close()

    assert bytes_of(drawn) == bytes_of(undisturbed)
    assert account_of(ledger).sampling == Taken(0, 0, needed)  # what was found in the journal is not counted again


def test_what_is_drawn_already_costs_nothing_though_the_budget_is_spent(tmp_path: Path, ledger: Ledger) -> None:
    first = scripted(tmp_path / "journal", n_questions=N_QUESTIONS)
    ledger.write(Account(Taken(0, 0, 9)))

    begin(ledger, tokens=1)

    assert bytes_of(scripted(tmp_path / "journal", n_questions=N_QUESTIONS)) == bytes_of(first)


def test_the_account_survives_a_kill_between_shards(tmp_path: Path, ledger: Ledger) -> None:
    begin(ledger, tokens=1)
    with pytest.raises(BudgetError):
        scripted(tmp_path / "journal", n_questions=N_QUESTIONS)

    # No close: what is on the disk is what a killed run leaves.
    assert 0 < account_of(ledger).sampling.completion_tokens <= PER_SHARD


def served(server: FaultyServer, journal: Path) -> ShardedTable:
    options = {"base_url": server.url, "model": "echo", "backoff_s": 0.0}
    choice = EngineChoice("openai", options, True, questions_per_shard=6)
    draw = Draw(asked(N_QUESTIONS), DECODING._replace(n=2, max_new_tokens=5), purpose="train", iteration=1)
    return draw_samples([draw], POLICY, choice=choice, journal=Journal(journal), experiment_seed=0)


def test_requests_to_a_server_are_counted_with_retries_and_with_the_tokens_of_prompts(
    tmp_path: Path, ledger: Ledger
) -> None:
    begin(ledger, requests=8)
    with serving(status(500)) as server:
        with pytest.raises(BudgetError, match=r"13 requests, and limits\.budget\.requests=8"):
            served(server, tmp_path / "journal")
        begin(ledger, requests=1000)
        served(server, tmp_path / "journal")
        n_requests = len(server.bodies)
    spending.close()

    assert account_of(ledger).sampling == Taken(n_requests, 3 * N_QUESTIONS, 5 * 2 * N_QUESTIONS)
    assert n_requests == N_QUESTIONS + 1


def test_a_server_that_does_not_count_is_taken_to_write_four_characters_per_token(
    tmp_path: Path, ledger: Ledger
) -> None:
    begin(ledger)
    with serving() as server:
        server.answer = lambda body: {"choices": [{"text": "abcdefgh", "finish_reason": "stop"}] * body.get("n", 1)}
        served(server, tmp_path / "journal")
    spending.close()

    taken = account_of(ledger).sampling
    assert taken.completion_tokens == 3 * 2 * N_QUESTIONS
    assert taken.prompt_tokens >= N_QUESTIONS * len("what is 1 + 1?") // 4


def test_the_judge_is_counted_apart_and_stops_between_shards_too(tmp_path: Path, ledger: Ledger) -> None:
    samples = scripted(tmp_path / "journal", n_questions=N_QUESTIONS, n=2)
    questions = pd.DataFrame(
        {"question_id": [f"q{row}" for row in range(N_QUESTIONS)], "text": "?", "gold": '{"answer": "4"}',
         "reward": "judge"}
    )  # fmt: skip
    with grading(knows_that_it_is_four) as server:
        options = {"judge": {"base_url": server.url, "model": "echo", "k": 1}}
        parameters = ScoringParameters(options=options)
        begin(ledger, tokens=8)
        with pytest.raises(BudgetError, match=r"limits\.budget\.tokens=8\."):
            score_samples(samples, questions, parameters=parameters, journal=Journal(tmp_path / "journal"))
        n_asked = len(server.bodies)
        with pytest.raises(BudgetError):  # golds would be shown to it before anything else
            quarantine_questions(questions.assign(split="train", source="s"), parameters=parameters)
        assert len(server.bodies) == n_asked
    spending.close()

    taken = account_of(ledger)
    assert taken.judge == Taken(n_asked, 3 * n_asked, 5 * n_asked)
    assert taken.sampling == Taken()
    assert n_asked <= 6 * 2


def test_golds_are_judged_here_though_the_budget_is_spent(ledger: Ledger) -> None:
    ledger.write(Account(seconds=9.0))
    begin(ledger, hours=0.001)
    questions = builders.questions("train", "test").assign(reward="exact", level="", licence="")

    kept, faulty = quarantine_questions(questions, parameters=ScoringParameters(workers=1))

    assert (len(kept), len(faulty)) == (2, 0)


def test_time_is_counted_over_runs(ledger: Ledger) -> None:
    ledger.write(Account(seconds=3599.0))
    begin(ledger, hours=1.5)
    spending.refuse_if_spent()
    spending.close()

    first = account_of(ledger).seconds
    begin(ledger, hours=0.9)

    assert 3599.0 <= first < 3605.0
    with pytest.raises(BudgetError, match=r"(0\.\d+|1(\.\d+)?) hours, and limits\.budget\.hours=0\.9"):
        spending.refuse_if_spent()


def test_money_is_what_tokens_and_hours_cost() -> None:
    prices = PricesParameters(
        sampling=TokenPriceParameters(prompt=1.0, completion=4.0), judge=TokenPriceParameters(prompt=10.0), hour=2.5
    )
    account = Account(Taken(5, 1_000_000, 500_000), Taken(1, 100_000, 9), seconds=7200.0)

    assert cost_of(account, prices) == pytest.approx(1.0 + 2.0 + 1.0 + 5.0)
    assert cost_of(account, PricesParameters()) is None
    limits = LimitsParameters(budget=BudgetParameters(cost=9.0), prices=prices)
    assert [str(each) for each in measures(account, limits)] == [
        "1,600,009 tokens", "6 requests", "2 hours", "a cost of 9 of 9",
    ]  # fmt: skip
    assert [each.name for each in measures(account, limits) if each.is_spent] == ["cost"]


def test_spent_money_is_said_as_money(ledger: Ledger) -> None:
    ledger.write(Account(seconds=7200.0))
    limits = LimitsParameters(budget=BudgetParameters(cost=4.5), prices=PricesParameters(hour=2.5))
    spending.open(ledger, limits, experiment="e")

    with pytest.raises(BudgetError, match=r"is spent: a cost of 5(\.\d+)?, and limits\.budget\.cost=4\.5\. "):
        spending.refuse_if_spent()


def test_a_process_that_works_for_a_run_tells_it_what_it_takes_and_knows_its_budget(ledger: Ledger) -> None:
    ledger.write(Account(Taken(0, 0, 5)))
    begin(ledger, tokens=10)
    far, told = Spending(), list[Account]()

    far.join(json.loads(json.dumps(spending.share())), told.append)
    assert far.why_spent() == ""
    far.take("judge", requests=1, prompt_tokens=4, completion_tokens=1)
    for account in told:
        spending.add(Account.from_json(json.loads(json.dumps(account.as_json()))))

    assert "limits.budget.tokens=10" in far.why_spent()
    assert "limits.budget.tokens=10" in spending.why_spent()
    spending.close()
    assert account_of(ledger)[:2] == (Taken(0, 0, 5), Taken(1, 4, 1))


@pytest.mark.parametrize("content", ["", "{", '{"seconds": 1}', "[]", "\xff"])
def test_a_damaged_account_stops_a_run_that_has_a_budget_and_no_other(
    content: str, ledger: Ledger, warned: Logged
) -> None:
    ledger.file.parent.mkdir()
    ledger.file.write_bytes(content.encode("latin-1"))

    with pytest.raises(DamageError, match=r"spending\.json is damaged .*Remove it"):
        begin(ledger, tokens=5)
    begin(ledger)

    assert "is damaged" in warned[0].getMessage()
    spending.close()
    assert account_of(ledger)[:2] == (Taken(), Taken())


@pytest.mark.parametrize("name", ["tokens", "requests", "hours", "cost"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf, "many", True, [1], {"a": 1}])
def test_a_budget_that_means_nothing_is_refused_by_its_path(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=rf"limits\.budget\.{name}"):
        checked(limits={"budget": {name: value}, "prices": {"hour": 1.0}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limits": {"budget": {"euros": 1}}}, r"limits\.budget\.euros is not a parameter"),
        ({"limits": {"budget": 5}}, r"limits\.budget"),
        ({"limits": {"prices": {"sampling": {"prompt": -1}}}}, r"limits\.prices\.sampling\.prompt must be at least 0"),
        ({"limits": {"budget": {"cost": 5}}}, r"limits\.budget\.cost needs prices above 0: set limits\.prices\.hour"),
        ({"limits": {"budget": {"cost": 5}, "prices": {"hour": 0}}}, r"needs prices above 0"),
        (
            {"limits": {"budget": {"cost": 5}, "prices": {"hour": 1, "sampling": {"prompt": 1}}},
             "sampling": {"engine": "openai"}},
            r"per million tokens: set limits\.prices\.sampling\.completion$",
        ),
        (
            {"limits": {"budget": {"cost": 5}, "prices": {"hour": 1}},
             "scoring": {"options": {"all_of": {"rewards": {"judge": {"model": "m"}}}}}},
            r"set limits\.prices\.judge\.prompt, limits\.prices\.judge\.completion$",
        ),
    ],
)  # fmt: skip
def test_money_needs_the_prices_of_what_is_asked(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        checked(**changes)


def test_the_report_says_what_was_taken_of_what(ledger: Ledger) -> None:
    limits = LimitsParameters(budget=BudgetParameters(tokens=2000))
    assert measures_of(ledger, limits) == []  # as of an experiment from before there was an account
    assert cost_section(None).tables == []

    ledger.write(Account(Taken(3, 200, 1000), seconds=1800.0))
    (grid,) = cost_section(None, measures_of(ledger, limits)).tables

    assert grid.rows == [["tokens", "1,200", "2,000"], ["requests", "3", "-"], ["hours", "0.5", "-"]]


def test_a_plan_is_held_against_the_budget() -> None:
    limits = LimitsParameters(budget=BudgetParameters(tokens=1000, hours=2.0, requests=5))
    expected = Account(Taken(0, 500, 700), seconds=3600.0)

    lines = list(_against_budget(expected, measures(Account(Taken(0, 0, 100)), limits), limits))

    assert lines == [
        "limits.budget.tokens = 1,000: 1,200 expected in all, which is more; 100 taken so far",
        "limits.budget.hours = 2: 1 expected in all; 0 taken so far",
    ]


@pytest.mark.slow
def test_a_run_stops_by_its_budget_says_so_and_goes_on_to_the_same_tables(project: Project, finished: Project) -> None:
    first = {"limits__budget__tokens": 100, "em__iterations": 1}
    with pytest.raises(BudgetError, match=r"experiment 'tiny' is spent: [\d,]+ tokens, .*limits\.budget\.tokens=\d+"):
        project.run("prepare", "baseline", **first)
    told = CliRunner().invoke(restem, ["status", "--env", "tiny", "--params=limits.budget.tokens=100"]).output
    assert BudgetError("x").exit_code == 75
    assert " of 100 tokens, 0 requests, " in told
    file = ledger_file(project.folder / "data/02_intermediate/journal", "tiny")
    kept = file.read_text()
    file.write_text("{")
    told = CliRunner().invoke(restem, ["status", "--env", "tiny"])
    assert (told.exit_code, "is damaged" in told.output, "next: " in told.output) == (0, True, True)
    file.write_text(kept)

    project.run("prepare", "baseline", limits__budget__tokens=10**9)

    def tables(of: Project) -> dict[str, bytes]:
        made = of.catalog()
        return {name: made.load(f"baseline.{name}").fingerprints() for name in ("scored_evaluation_samples",)}

    assert tables(project) == tables(finished)
    ledger = Ledger(ledger_file(project.folder / "data/02_intermediate/journal", "tiny"))
    assert account_of(ledger).sampling == baseline_of(project)
    CliRunner().invoke(restem, ["delete", "tiny", "--yes"])
    assert ledger.read() is None


def baseline_of(project: Project) -> Taken:
    """Return what the samples of the base policy took, from the samples themselves."""
    from transformers import AutoTokenizer

    catalog = project.catalog()
    drawn = catalog.load("baseline.evaluation_samples").to_pandas()
    tokenizer = AutoTokenizer.from_pretrained(catalog.load("policy_0").folder)
    texts = catalog.load("prompts").set_index("question_id")["prompt"]
    read = drawn[["suite", "question_id", "decoding"]].drop_duplicates()["question_id"].map(texts)
    return Taken(0, sum(len(tokenizer(text)["input_ids"]) for text in read), int(drawn["n_tokens"].sum()))
