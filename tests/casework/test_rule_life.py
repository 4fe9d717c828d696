"""The life of a rule: nothing that was saved is lost, and what acts changes only with a second person, by any call and by SQL."""

import json
import threading
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from casework import database as databases
from casework import proposals, rule_life, rule_sets, rule_versions
from casework.database import Database
from casework.proposals import Ruling
from domain.criteria import FraudCriterion
from domain.errors import ConflictError, LedgerError, RuleError, SamePersonError
from domain.rule_text import written
from domain.rules import Rule, State
from tests.databases import audit, execute, rows

KINDS = {rule_sets.KIND: rule_sets.apply}
FIRST = Rule(
    "many_returns", FraudCriterion.RETURNS, "medium", "Aigul", "para. 15 (9)", "amount_tyiyn > 1", "Returns", state=State.LIVE,
    text_ru="Возвраты", text_ky="Кайтаруулар", customer_ru="Проверим", customer_ky="Текшеребиз", customer_en="We check",
)  # fmt: skip
OTHER = replace(FIRST, id="takeover", state=State.SHADOW)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database in which a person loaded the first set: one rule live, one in shadow."""
    with databases.connect(url) as opened:
        rule_sets.load(opened, written([FIRST, OTHER]), "Aigul", "the first set")
        yield opened


def saved(database: Database, rule: Rule, version: int, person: str = "Aigul", **changes: str) -> int:
    return rule_versions.save(database, replace(rule, version=version, **changes), person, "a better rule")


def approved(database: Database, proposal_id: int, person: str = "Bakyt") -> None:
    proposals.decide(database, proposal_id, Ruling.APPROVED, person, "I looked", KINDS)


def runs(database: Database) -> dict[str, tuple[int | None, int | None]]:
    return {standing.saved.rule.id: (standing.live, standing.shadow) for standing in rule_life.standings(database)}


def states(database: Database) -> dict[str, State]:
    return {standing.saved.rule.id: standing.state for standing in rule_life.standings(database)}


# ---- saving ----------------------------------------------------------------------------------------------------------


def test_every_saving_stays_with_who_when_and_why(database):
    assert saved(database, FIRST, 1, expression="amount_tyiyn > 2") == 2
    assert saved(database, FIRST, 2, "Bakyt", expression="amount_tyiyn > 3") == 3
    kept = rule_versions.history(database, "many_returns")
    assert [(one.rule.version, one.rule.expression, one.saved_by) for one in kept] == [
        (1, "amount_tyiyn > 1", "Aigul"), (2, "amount_tyiyn > 2", "Aigul"), (3, "amount_tyiyn > 3", "Bakyt"),
    ]  # fmt: skip
    assert rule_versions.of(database, "many_returns", 2).rule.expression == "amount_tyiyn > 2"
    assert audit(database)[-1] == ("Bakyt", "a better rule", "rules: save many_returns 3")
    assert runs(database)["many_returns"] == (1, None), "what is saved does not act"


def test_of_two_who_edit_at_once_one_wins_and_the_other_is_told_who_and_when(database):
    saved(database, FIRST, 1, "Bakyt", expression="amount_tyiyn > 2")
    with pytest.raises(ConflictError, match=r"at version 2, saved by Bakyt at 20.*\(a better rule\); you edited version 1"):
        saved(database, FIRST, 1, "Aigul", expression="amount_tyiyn > 3")
    assert len(rule_versions.history(database, "many_returns")) == 2
    with pytest.raises(ConflictError, match="not saved yet; seen version 4"):
        saved(database, FIRST, 4, id="a_new_one")


def test_two_who_save_in_the_same_moment_never_both_win(database):
    won, told, begin = [], [], threading.Barrier(4)

    def edit(person: str) -> None:
        begin.wait()
        try:
            won.append(saved(database, FIRST, 1, person, text=f"as {person} has it"))
        except ConflictError as conflict:
            told.append(str(conflict))

    people = [threading.Thread(target=edit, args=(person,)) for person in ("Aigul", "Bakyt", "Cholpon", "Daniyar")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert (won, len(told)) == ([2], 3)
    assert len(rule_versions.history(database, "many_returns")) == 2


def test_a_saving_that_is_repeated_is_the_version_that_it_is(database):
    assert [saved(database, FIRST, 1, text="another") for _ in range(2)] == [2, 2]


def test_a_rule_that_is_not_saved_is_said_to_be_unknown(database):
    for asked in (lambda: rule_versions.of(database, "nothing"), lambda: rule_versions.history(database, "nothing")):
        with pytest.raises(RuleError, match="no rule nothing is saved"):
            asked()


# ---- shadow ----------------------------------------------------------------------------------------------------------


def test_one_person_puts_a_rule_in_shadow_beside_its_live_version(database):
    saved(database, FIRST, 1, expression="amount_tyiyn > 2")
    rule_life.put_in_shadow(database, "many_returns", 2, "Aigul", "to count it")
    assert runs(database) == {"many_returns": (1, 2), "takeover": (None, 1)}
    assert states(database) == {"many_returns": State.LIVE, "takeover": State.SHADOW}
    with pytest.raises(ConflictError, match="runs already"):
        rule_life.put_in_shadow(database, "many_returns", 2, "Aigul", "again")
    rule_life.take_out_of_shadow(database, "many_returns", "Aigul", "counted")
    assert runs(database)["many_returns"] == (1, None)
    with pytest.raises(RuleError, match="not in shadow"):
        rule_life.take_out_of_shadow(database, "many_returns", "Aigul", "again")


def test_a_rule_out_of_shadow_is_off_and_runs_again_only_when_it_is_saved_again(database):
    rule_life.take_out_of_shadow(database, "takeover", "Aigul", "it says nothing")
    assert states(database)["takeover"] is State.OFF
    with pytest.raises(RuleError, match="was turned off"):
        rule_life.put_in_shadow(database, "takeover", 2, "Aigul", "again")
    saved(database, OTHER, 2, expression="amount_tyiyn > 5")
    assert states(database)["takeover"] is State.DRAFT


def test_a_rule_that_does_not_say_all_in_three_languages_does_not_run(database):
    saved(database, FIRST, 0, id="half_written", text_ky="", customer_ky="")
    with pytest.raises(RuleError, match="lacks text_ky, customer_ky"):
        rule_life.put_in_shadow(database, "half_written", 1, "Aigul", "to count it")


# ---- live, with a second person --------------------------------------------------------------------------------------


def test_a_rule_acts_when_another_person_approves_it_and_leaves_the_shadow(database):
    saved(database, FIRST, 1, expression="amount_tyiyn > 2")
    rule_life.put_in_shadow(database, "many_returns", 2, "Aigul", "to count it")
    proposal = rule_life.propose_live(database, "many_returns", 2, "Aigul", "it caught what it should")
    content = proposals.of_id(database, proposal).content
    assert (content["comes"], content["goes"]) == (["many_returns 2"], ["many_returns 1"])
    assert runs(database)["many_returns"] == (1, 2)
    with pytest.raises(SamePersonError):
        approved(database, proposal, " aigul")
    approved(database, proposal)
    assert runs(database) == {"many_returns": (2, None), "takeover": (None, 1)}


def test_a_rule_is_turned_off_by_two(database):
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    assert runs(database)["many_returns"] == (1, None)
    approved(database, proposal)
    assert states(database)["many_returns"] is State.OFF
    assert rule_versions.of(database, "many_returns").reason == "it stops too many"


def test_what_is_proposed_already_is_not_proposed_twice(database):
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    with pytest.raises(ConflictError, match=f"proposal {proposal} of Aigul says the same and is open"):
        rule_life.propose_off(database, "many_returns", "Cholpon", "it stops too many")
    rule_life.propose_live(database, "takeover", 1, "Cholpon", "it is good")
    proposals.decide(database, proposal, Ruling.REFUSED, "Bakyt", "it does not", KINDS)
    assert rule_life.propose_off(database, "many_returns", "Aigul", "look again") > proposal


def test_what_is_refused_changes_nothing(database):
    before = rule_sets.live(database)
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    proposals.decide(database, proposal, Ruling.REFUSED, "Bakyt", "it does not", KINDS)
    assert rule_sets.live(database) == before


def test_a_proposal_made_before_what_is_live_was_changed_is_told_so_and_stays_open(database):
    first = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    second = rule_life.propose_live(database, "takeover", 1, "Cholpon", "it is good")
    approved(database, second)
    with pytest.raises(ConflictError, match=r"Cholpon changed what is live at 20.* \(it is good\): propose it again"):
        approved(database, first)
    assert proposals.of_id(database, first).verdict is None
    assert runs(database) == {"many_returns": (1, None), "takeover": (1, None)}


def test_a_change_in_shadow_does_not_undo_a_proposal_nor_is_undone_by_it(database):
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    saved(database, FIRST, 0, "Cholpon", id="a_new_one")
    rule_life.put_in_shadow(database, "a_new_one", 1, "Cholpon", "to count it")
    approved(database, proposal)
    assert runs(database) == {"a_new_one": (None, 1), "many_returns": (None, None), "takeover": (None, 1)}


def test_a_set_that_says_what_is_in_shadow_is_told_of_a_change_there(database):
    proposal = rule_sets.propose(database, rule_sets.live(database).content, "Aigul", "ours, whole")
    saved(database, FIRST, 0, "Cholpon", id="a_new_one")
    rule_life.put_in_shadow(database, "a_new_one", 1, "Cholpon", "to count it")
    before = runs(database)
    with pytest.raises(ConflictError, match=r"Cholpon changed what is in shadow at 20.* \(to count it\): propose it again"):
        approved(database, proposal)
    assert runs(database) == before


def test_a_former_set_comes_back_whole_by_one_proposal(database):
    before = rule_sets.live(database)
    saved(database, FIRST, 1, expression="amount_tyiyn > 2")
    approved(database, rule_life.propose_live(database, "many_returns", 2, "Aigul", "wider"))
    rule_life.take_out_of_shadow(database, "takeover", "Aigul", "it says nothing")
    approved(database, rule_life.propose_roll_back(database, before.version, "Cholpon", "too wide"))
    now = rule_sets.live(database)
    assert (now.version, now.content, now.shadow) == (before.version, before.content, before.shadow)
    assert runs(database) == {"many_returns": (1, None), "takeover": (None, 1)}
    with pytest.raises(ConflictError, match="in force"):
        rule_life.propose_roll_back(database, before.version, "Cholpon", "again")
    with pytest.raises(RuleError, match="ever in force"):
        rule_life.propose_roll_back(database, "000000000000", "Cholpon", "too wide")


def test_the_first_set_of_a_person_is_loaded_by_one_and_every_other_is_proposed(url):
    with databases.connect(url) as database:
        rule_sets.load(database, written([OTHER]), "burana", "starter set")
        rule_sets.load(database, written([FIRST]), "Aigul", "ours")
        with pytest.raises(RuleError, match=r"loaded by Aigul: .* second person"):
            rule_sets.load(database, written([OTHER]), "Bakyt", "mine")
        proposal = rule_sets.propose(database, written([FIRST, replace(OTHER, state=State.LIVE)]), "Bakyt", "mine")
        approved(database, proposal, "Aigul")
        assert runs(database) == {"many_returns": (1, None), "takeover": (3, None)}, "it was off meanwhile"


def test_nobody_is_the_product_itself_a_second_time(url):
    with databases.connect(url) as database:
        rule_sets.load(database, written([OTHER]), "burana", "starter set")
        with pytest.raises(RuleError, match="second person"):
            rule_sets.load(database, written([FIRST]), "burana", "mine")
        with pytest.raises(LedgerError, match="another person approved"):
            execute(database, inserted("rules = []", person="burana"))


def test_rules_that_are_too_much_for_one_program_are_refused_before_they_are_in_force(database):
    long = written(replace(FIRST, id=f"long_{n}", expression="amount_tyiyn > 1 || " * 99 + "true") for n in range(45))
    with pytest.raises(RuleError, match=r"asked of bank_account have \d+ characters, allowed 80000: name the kinds"):
        approved(database, rule_sets.propose(database, long, "Aigul", "many"))
    few = written(replace(FIRST, id=f"long_{n}", expression="amount_tyiyn > 1 || " * 99 + "true") for n in range(40))
    approved(database, rule_sets.propose(database, few, "Aigul", "fewer"))


# ---- by SQL ----------------------------------------------------------------------------------------------------------


def inserted(live: str, proposal_id: object = "NULL", rule_set_id: object = "NULL", person: str = "Aigul") -> str:
    columns = "version, content, loaded_at, loaded_by, reason, proposal_id"
    values = f"'forged', '{live}', '2030', '{person}', 'r', {proposal_id}"
    if rule_set_id != "NULL":
        columns, values = f"rule_set_id, {columns}", f"{rule_set_id}, {values}"
    return f"INSERT INTO rule_sets ({columns}) VALUES ({values})"


def test_one_person_cannot_change_by_sql_what_acts(database):
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    for statement in (
        inserted("rules = []"),
        inserted("rules = []", person="burana"),
        inserted("rules = []\n", proposal),
        inserted("rules = []\n", 99),
        inserted(rule_sets.live(database).content, rule_set_id=-5),
        f"UPDATE rule_sets SET content = 'rules = []', proposal_id = {proposal}",
        "DELETE FROM rule_sets",
        "UPDATE rule_versions SET content = ''",
        "DELETE FROM rule_versions",
        "INSERT INTO rule_versions VALUES ('many_returns', 1, 'x', '2030', 'Aigul', 'r')",
        "INSERT INTO rule_versions VALUES ('many_returns', 7, 'x', '2030', 'Aigul', 'r')",
    ):
        with pytest.raises(LedgerError):
            execute(database, statement)
    assert runs(database)["many_returns"] == (1, None)


def test_an_approval_is_good_once_and_for_what_was_approved(database):
    proposal = rule_life.propose_off(database, "many_returns", "Aigul", "it stops too many")
    approved(database, proposal)
    approved(database, rule_life.propose_roll_back(database, rule_sets.history(database)[1].version, "Aigul", "back"))
    for statement in (inserted("rules = []\n", proposal), inserted("[[rules]]", proposal), inserted("rules = []\n")):
        with pytest.raises(LedgerError):
            execute(database, statement)
    assert (
        json.loads(rows(database, f"SELECT content FROM proposals WHERE proposal_id = {proposal}")[0][0])["live"]
        == "rules = []\n"
    )


def test_a_live_rule_written_into_the_shadow_by_sql_does_not_act(database):
    content = rule_sets.live(database).content.replace("'", "''")
    forged = written([replace(FIRST, id="forged")]).replace("'", "''")
    execute(database, f"INSERT INTO rule_sets (version, content, shadow, loaded_at, loaded_by, reason) VALUES ('f', '{content}', '{forged}', '2030', 'x', 'r')")  # fmt: skip
    assert [rule.state for rule in rule_sets.live(database).shadow_rules] == [State.SHADOW]
