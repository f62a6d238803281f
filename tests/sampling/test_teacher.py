"""A teacher reads the prompts that were written for its student."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from restem.errors import PolicyError, PromptError
from restem.parameters import PromptParameters
from restem.policies.base_models import prepare_teacher
from restem.policies.policy import Policy
from restem.sampling.prompts import check_teacher
from restem.store.journal import Journal

CHAT = PromptParameters(style="chat")
TEMPLATE = "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}{% endfor %}"


def with_template(base: Policy, folder: Path, template: str | None) -> Policy:
    shutil.copytree(base.folder, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return Policy(path=str(folder), fingerprint=folder.name, iteration=0, name=folder.name, base=folder.name)


def test_teacher_that_lacks_the_template_of_the_student_is_refused_for_chat_prompts(
    base: Policy, tmp_path: Path
) -> None:
    student = with_template(base, tmp_path / "student", TEMPLATE)
    same = with_template(base, tmp_path / "same", TEMPLATE)
    other = with_template(base, tmp_path / "other", f"{TEMPLATE}!")
    none = with_template(base, tmp_path / "none", None)

    check_teacher(same, student, CHAT)
    check_teacher(none, student, PromptParameters(style="few_shot"))
    with pytest.raises(PromptError, match="chat template of student, and the teacher other has another; use prompt"):
        check_teacher(other, student, CHAT)
    with pytest.raises(PromptError, match="the teacher none has none"):
        check_teacher(none, student, CHAT)


def test_teacher_that_is_not_there_is_named(base: Policy, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no/such/teacher.*no such folder"):
        prepare_teacher("no/such/teacher", base, store=Journal(tmp_path))
