"""Questions of the hub that HF_ENDPOINT names: a line of options in, a line with the table or the error out.

It is a process of its own, as the hub's libraries read where the hub is when they are imported.
"""

import json
import sys

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions

for line in sys.stdin:
    try:
        table = load_questions(QuestionsParameters(source="hub", **json.loads(line)))
        answer = {"rows": table.to_dict("records")}
    except QuestionsError as error:
        answer = {"error": error.message}
    sys.stdout.write(f"ANSWER{json.dumps(answer)}\n")
    sys.stdout.flush()
